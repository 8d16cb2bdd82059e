"""Library of two-strand ladders of poly-alanine, from deposited chains."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

import numpy as np

from crysformer.peptide.secondary_structure import Fragment

ATOMS = {"N": 7, "CA": 6, "C": 6, "O": 8, "CB": 6}
"""Atoms of each residue of a ladder, in order, and their atomic numbers."""


@lru_cache(maxsize=1)
def ladder_fragments() -> tuple[Fragment, ...]:
    """Antiparallel ladders of two strands of three residues, commonest first.

    Ladders of regular torsion angles are 1.0 to 1.4 A from those of short peptides, too far to
    complete a structure from: strands twist and bend. These are a greedy cover of deposited ladders
    (`benchmarks/ladders.py`): the first has the most others within 0.5 A, the second the most of
    those that remain, and so on.
    """
    text = resources.files("crysformer.phasing.fragments").joinpath("ladders.json").read_text()
    number = np.array(list(ATOMS.values()))
    found = []
    for row in json.loads(text)["ladders"]:
        xyz = np.array(row["xyz"])  # (strands, residues, atoms, 3)
        n_residues = xyz.shape[0] * xyz.shape[1]
        xyz = xyz.reshape(-1, 3)
        found.append(
            Fragment("ladder", n_residues, np.tile(number, n_residues), xyz - xyz.mean(axis=0))
        )
    return tuple(found)
