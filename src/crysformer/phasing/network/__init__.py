"""The network as a phasing method."""
