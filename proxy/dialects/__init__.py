"""The wires that callers speak, each turned into the inner dialect and back."""
