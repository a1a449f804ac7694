"""What a call says: schemas and their check, spellings of clients, addresses, content."""
