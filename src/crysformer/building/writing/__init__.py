"""Files of a built model."""
