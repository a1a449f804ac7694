"""Tables: text gone through a row at a time, and Parquet by range."""
