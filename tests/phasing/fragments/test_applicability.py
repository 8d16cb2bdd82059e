"""Fragments chosen for a crystal."""

from __future__ import annotations

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


def test_fragments_fit_into_the_molecule() -> None:
    def names(n_atoms: int | None, *sequences: str, volume: float = 5e4) -> list[str]:
        content = CellContent(n_atoms, 5.0, sequences, 1, ())
        return [f.name for f in fragments_for(content, volume, 2)]

    ladders = 40 * ["ladder of 6"]
    assert names(None, "GNNQQNY") == ["strand of 6", *ladders]
    assert names(None, "ELLKKLLEELKG") == ["helix of 12", "strand of 6", "helix of 8", *ladders]
    assert names(100, "ELLKKLLEELKG") == ["strand of 6", "helix of 8", *ladders]
    assert not names(None, "WK")
    # an unknown molecule in a cell too small for any
    assert not names(None, volume=800.0)


def test_lengths_are_settings() -> None:
    content = CellContent(None, 5.0, ("ELLKKLLEELKG",), 1, ())
    settings = FragmentChoiceSettings(helix_lengths=(11, 7), strand_length=5, ladders=0)
    found = fragments_for(content, 5e4, 2, settings=settings)
    assert [f.name for f in found] == ["helix of 11", "strand of 5", "helix of 7"]


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
