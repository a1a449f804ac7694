"""Publishing: a registry's four tables as Parquet under ``.quilt/tables/`` (decision 041)."""
