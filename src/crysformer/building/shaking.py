"""Random displacements of a model, so that refinement forgets reflections."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray


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
        moves = displacements(len(atoms), rms, rng)
        for atom, (x, y, z) in zip(atoms, moves.tolist(), strict=True):
            atom.pos = gemmi.Position(atom.pos.x + x, atom.pos.y + y, atom.pos.z + z)
    return copy


def displacements(n: int, rms: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random displacements of `n` atoms, shape (n, 3), A, whose root mean square is `rms`."""
    moves = rng.normal(size=(n, 3))
    length = float(np.sqrt((moves**2).sum(axis=1).mean())) if n else 1.0
    return np.asarray(moves * (rms / length))
