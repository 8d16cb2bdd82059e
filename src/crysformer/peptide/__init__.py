"""Chemistry of peptides: notation, residues, geometry, kinematics. Knows no reflections."""
