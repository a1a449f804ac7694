"""A server of many users: whose a request is, what each may take."""
