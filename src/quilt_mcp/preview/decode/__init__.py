"""The child's side: it decodes one file, whose bytes it asks for by range, and answers one question about it.

Nothing here opens a file of the machine's but its own temporary ones, knows credentials or speaks to a network.
"""
