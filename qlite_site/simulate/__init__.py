"""What the routing table would do: to one request that somebody describes, and to the recorded ones of the past."""
