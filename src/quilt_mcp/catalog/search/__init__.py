"""A stack's own search: by its GraphQL, or by the older way of stacks whose GraphQL has none."""
