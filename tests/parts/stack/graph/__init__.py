"""The GraphQL side: a schema for each release, who asks, and what each field answers."""
