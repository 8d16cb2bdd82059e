"""A sequence proposed from the atoms of a crystal at atomic resolution."""
