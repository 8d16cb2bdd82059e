"""Torsion-space search for peptides of known sequence."""
