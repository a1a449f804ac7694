"""What is looked for: comparisons, and searches over registries."""
