"""What a request leaves behind: the entry, the journal it is safe in at once, and its recovery after a crash."""
