"""The self-service pages for API keys, mounted at /keys/."""
