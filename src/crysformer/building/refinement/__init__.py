"""Restrained refinement of a model, by servalcat or by this package."""
