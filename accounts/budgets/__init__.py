"""Budgets as plain logic: their windows, the limits in force, what this process holds of each, reserve and settle."""
