"""The cost reports, mounted at /reports/."""
