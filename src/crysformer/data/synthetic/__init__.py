"""Synthetic crystals: cells, contents, packing, simulated measurements."""
