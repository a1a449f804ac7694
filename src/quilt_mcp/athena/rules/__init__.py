"""What each node of a query in DuckDB's SQL becomes in Athena's. What no rule is for is refused."""
