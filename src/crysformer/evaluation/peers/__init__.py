"""Other programs on the same crystals as the solver, and two versions of the solver in turns."""
