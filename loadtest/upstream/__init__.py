"""A scripted, OpenAI-shaped provider on loopback: its answers, its faults and its connections."""
