"""Atomic models: from phases to refined coordinates with R factors."""
