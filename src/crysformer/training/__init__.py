"""Losses, the training loop and its presets."""
