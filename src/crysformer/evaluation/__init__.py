"""Runs over test sets: metrics, tables and figures."""
