"""Methods that turn amplitudes into phases, and the solver that combines them."""
