"""Kills a gateway again and again under load, and compares what callers, provider and ledger say afterwards."""
