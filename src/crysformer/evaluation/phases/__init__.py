"""Phases that any program wrote, scored against a model or against true phases."""
