"""Tags for the pages of the routing table."""
