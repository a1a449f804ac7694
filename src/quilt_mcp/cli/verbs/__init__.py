"""Verbs: what a person types, each an alias of a tool (``table``), whose arguments it takes as flags and words (``flags``)."""
