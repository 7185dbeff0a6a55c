"""A load client that may share a core with the mock: one protocol, pre-built requests, answers compared by bytes."""
