"""Rows of the accounts room turned into plain values, and back."""
