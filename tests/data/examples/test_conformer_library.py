"""Common conformers of a data set."""

from __future__ import annotations

import numpy as np

from crysformer.data import FragmentStore
from crysformer.data.examples.conformer_library import most_common_conformers
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates


def test_conformers_are_found_in_any_data_set(dipeptides: FragmentStore) -> None:
    found = most_common_conformers(dipeptides.table("train"))
    assert set(found) == set(residues.NAMES)
    for name in ("ALA", "GLY", "PRO"):
        ours = template_coordinates()[name]
        rmsd = np.sqrt(((np.array(found[name]["xyz"]) - ours)[[0, 1, 2]] ** 2).sum(1).mean())
        assert rmsd < 0.15
