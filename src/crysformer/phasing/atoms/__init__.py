"""Atoms from phases: equal atoms, recycling, free atoms, peaks."""
