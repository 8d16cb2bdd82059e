"""Structure factors and maps: form factors, direct sums, grids, transforms."""
