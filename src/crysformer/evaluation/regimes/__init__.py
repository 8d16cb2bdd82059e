"""The regime grid: every method on the same crystals, from easy to hopeless."""
