"""Drafts: the revision that a write would make, before a byte is sent."""
