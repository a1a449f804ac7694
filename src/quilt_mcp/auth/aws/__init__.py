"""AWS credentials: where they are found, whether they hold, and what mends them."""
