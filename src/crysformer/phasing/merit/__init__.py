"""Figures of merit, and the confidence that they amount to."""
