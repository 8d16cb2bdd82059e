"""From phases to a refined atomic model."""
