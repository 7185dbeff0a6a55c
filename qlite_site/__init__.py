"""The composition root: settings, URLs, the server, and the wiring of the rooms."""

__version__ = "0.1.0"
