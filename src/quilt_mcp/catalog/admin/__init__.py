"""Administration of a stack: each kind of thing that is administered, in a file of its own, and the one way to change any."""
