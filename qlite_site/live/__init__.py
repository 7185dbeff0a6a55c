"""WebSockets, by Channels: which address leads to which consumer."""
