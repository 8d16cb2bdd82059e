"""Charge flipping and RAAR as phasing methods: batches of random starts."""
