"""The query language of searches: what may be written, and what it means."""
