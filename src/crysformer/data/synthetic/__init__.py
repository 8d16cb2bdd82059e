"""Synthetic crystals: cells, packing, simulated measurements."""
