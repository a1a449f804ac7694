"""Two tables compared: rows matched by key columns, cells by value."""
