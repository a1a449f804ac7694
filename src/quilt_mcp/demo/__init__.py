"""A tour on sample data: makes a registry in a folder, then drives the real server as an agent would."""
