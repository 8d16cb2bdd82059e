"""Training examples, generated as they are needed."""
