"""The catalog of a registry: its packages and their files as immutable tables, asked by a query, with no server."""
