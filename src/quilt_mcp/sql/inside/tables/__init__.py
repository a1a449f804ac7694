"""Tables of files: what the engine would guess of texts without a word is settled here, and told where it may be otherwise."""
