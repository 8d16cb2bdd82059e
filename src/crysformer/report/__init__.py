"""Pictures of maps and results."""
