"""SQL on Athena: a query in DuckDB's SQL said in Athena's, or in Athena's own and read only; run, paged and paid for by the caller's
keys. sqlglot and boto3 are imported at first use."""
