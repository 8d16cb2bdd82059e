"""Models from maps: building, refinement, validation and their files."""
