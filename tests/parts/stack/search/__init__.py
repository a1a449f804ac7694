"""Search over what the stack holds: query strings as Elasticsearch 7.10 reads them, without Elasticsearch."""
