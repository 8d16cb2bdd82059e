"""The tables of the paper: networks trained and tested under one budget, beside the solver."""
