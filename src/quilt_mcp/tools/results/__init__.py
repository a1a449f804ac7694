"""What an answer says: its one shape within the budget, rows, what is inside a file."""
