"""Fragments chosen for a crystal."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.applicability import (
    FragmentChoiceSettings,
    check_fragments,
    fragments_for,
)


def names(n_atoms: int | None, *sequences: str, volume: float = 5e4, **settings: Any) -> list[str]:
    content = CellContent(n_atoms, 5.0, sequences, 1, ())
    found = fragments_for(content, volume, 2, settings=FragmentChoiceSettings(**settings))
    return [f"{len(several)} {several[0].name}" for several in found]


def test_fragments_fit_into_the_molecule() -> None:
    ladders = 9 * ["8 ladder of 6"]
    assert names(None, "GNNQQNY") == ["8 ladder of 6", "1 strand of 6", *ladders]
    helical = ["8 ladder of 6", "1 strand of 6", "1 helix of 8", *ladders]
    assert names(None, "ELLKKLLEELKG") == ["1 helix of 12", *helical]
    assert names(100, "ELLKKLLEELKG") == helical
    assert names(None, "YVVFL") == ["8 ladder of 6", *ladders]
    assert not names(None, "WKF")
    # an unknown molecule in a cell too small for any
    assert not names(None, volume=800.0)


def test_lengths_and_numbers_are_settings() -> None:
    found = names(None, "ELLKKLLEELKG", helix_lengths=(11, 7), strand_length=5, ladders=0)
    assert found == ["1 helix of 11", "1 strand of 5", "1 helix of 7"]
    found = names(None, "GNNQQNY", helix_lengths=(), ladders=5, ladders_together=2)
    assert found == [
        "2 ladder of 6", "1 strand of 6", "2 ladder of 6", "1 ladder of 6",
    ]  # fmt: skip


def test_low_resolution_and_both_hands_are_refused() -> None:
    content = CellContent(None, 5.0, ("ELLKKLLEELKG",), 1, ())
    cell = gemmi.UnitCell(30, 31, 32, 90, 90, 90)

    def data(group: str, d_min: float) -> CrystalData:
        space_group = gemmi.SpaceGroup(group)
        hkl = gemmi.make_miller_array(cell, space_group, d_min)[-50:].astype(np.int32)
        return CrystalData(cell, space_group, hkl, np.ones(len(hkl)))

    assert check_fragments(data("P 21 21 21", 1.2), content)
    with pytest.raises(NotApplicable, match=r"it needs data to 1\.3 A, these end at 1\.40"):
        check_fragments(data("P 21 21 21", 1.4), content)
    with pytest.raises(NotApplicable, match="both hands"):
        check_fragments(data("P -1", 1.2), content)
