"""Search with no server: over the catalogs of registries that this process keeps."""
