"""Phasing with a known sequence: peptides of standard geometry fitted to amplitudes."""
