"""Training examples, synthesised as they are needed."""
