"""OpenAI's Realtime API over a WebSocket: messages pass as they are both ways, and what they report is metered."""
