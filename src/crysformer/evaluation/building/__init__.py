"""Models built from the maps of methods, by this package and by other programs."""
