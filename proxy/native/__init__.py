"""Calls that pass as they are: a provider's own API behind our keys, and the operations that are never translated."""
