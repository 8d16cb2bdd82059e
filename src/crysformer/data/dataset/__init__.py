"""Deposited entries to standardised fragments in a Parquet store."""
