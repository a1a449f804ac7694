"""SQL over registries that this process reads itself: the files that a query names, opened and checked,
and the results that are kept.
"""
