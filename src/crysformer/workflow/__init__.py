"""Phasing, reports and files joined into what a user calls."""
