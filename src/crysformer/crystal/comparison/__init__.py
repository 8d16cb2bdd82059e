"""Comparison of maps and phases, origin and hand aligned."""
