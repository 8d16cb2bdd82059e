"""Random displacements of a model, so that refinement forgets reflections."""

from __future__ import annotations

import gemmi
import numpy as np


def shaken(structure: gemmi.Structure, rms: float = 0.3, seed: int = 0) -> gemmi.Structure:
    """Copy of a structure with its atoms displaced at random.

    A model that was found or refined with all reflections fits the free ones as well as the
    others. Displaced, and refined again without them, it no longer remembers them, and R-free means
    something (Brunger, Methods Enzymol. 277, 366, 1997).

    Parameters
    ----------
    structure
        The model. Alternative conformers are displaced independently.
    rms
        Root mean square displacement, A, exact over all atoms of each model.
    seed
        Of the random numbers.
    """
    copy = structure.clone()
    rng = np.random.default_rng(seed)
    for model in copy:
        atoms = [cra.atom for cra in model.all()]
        if not atoms:
            continue
        step = rng.normal(size=(len(atoms), 3))
        step *= rms / np.sqrt((step**2).sum(axis=1).mean())
        for atom, (x, y, z) in zip(atoms, step.tolist(), strict=True):
            atom.pos = gemmi.Position(atom.pos.x + x, atom.pos.y + y, atom.pos.z + z)
    return copy
