"""The catalog: a Quilt stack's configuration, GraphQL and search, asked with one bearer."""
