"""SQL on Athena: a query in DuckDB's SQL said in Athena's, or one in Athena's own that only reads. It is run by the caller's keys
and answered in pages. sqlglot and boto3 are imported at first use."""
