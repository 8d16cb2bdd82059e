"""Origin, hand and symmetry: from P1 to the setting of the crystal."""
