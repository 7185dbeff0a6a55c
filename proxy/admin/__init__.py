"""The exact cache in the Django admin: look, keep, correct, purge."""

from proxy.admin.entries import CacheEntryAdmin

__all__ = ["CacheEntryAdmin"]
