"""The way through a stack: packages as GraphQL tells them and bytes by browsing session, for a user whom the stack gives no AWS
credentials. A store that stands on it serves the same engine as a bucket does (decision 031)."""
