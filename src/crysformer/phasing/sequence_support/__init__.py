"""Support of the given sequence by the amplitudes: side chains exchanged in a peptide model."""
