"""Molecules and their beginnings."""

from __future__ import annotations

import numpy as np
import pytest

from crysformer.data.molecule import Molecule


def test_beginnings_of_molecules(fifteen: Molecule) -> None:
    five = fifteen.first(5)
    assert five.sequence == fifteen.sequence[:5]
    assert len(five.xyz) == len(five.number) == len(five.atom_names)
    np.testing.assert_array_equal(five.xyz, fifteen.xyz[: len(five.xyz)])
    assert fifteen.residue[len(five.xyz)] == 5
    assert fifteen.first(15) is fifteen
    with pytest.raises(ValueError, match="15 residues, 16 asked for"):
        fifteen.first(16)
