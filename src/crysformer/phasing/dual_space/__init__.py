"""Fourier iterations in P1: charge flipping, RAAR, density modification."""
