"""Validation of atomic models."""
