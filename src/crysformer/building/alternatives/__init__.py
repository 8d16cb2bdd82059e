"""Alternative conformers of side chains: candidates, their atoms, and which of them stay."""
