"""The most common conformation of each residue."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide import residues


@lru_cache(maxsize=1)
def template_coordinates() -> dict[str, NDArray[np.float64]]:
    """Heavy atoms of each residue in its most common conformation.

    Returns
    -------
    By three-letter name, coordinates (n, 3), A, in the order of `residues.ATOMS`; CA at the
    origin, C along x, N in the xy plane.
    """
    text = resources.files("crysformer.peptide").joinpath("conformers.json").read_text("utf-8")
    conformers = json.loads(text)["residues"]
    return {name: np.array(conformers[name]["xyz"]) for name in residues.NAMES}
