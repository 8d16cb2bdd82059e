"""Tracing: from a density map and a sequence to an all-atom model."""
