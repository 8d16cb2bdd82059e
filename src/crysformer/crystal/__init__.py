"""Cells, reflections, structure factors, maps, comparison, symmetry and file formats."""
