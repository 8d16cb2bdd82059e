"""Atomic models against amplitudes in the crystal's own space group."""
