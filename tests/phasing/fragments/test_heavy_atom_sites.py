"""Sulphurs found one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.heavy_atom_sites import (
    HeavyAtomSearch,
    HeavyAtomSettings,
    number_of_sulphurs,
)

B_ISO = 6.0  # A^2, of the crystal


def test_sulphurs_are_found(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, frac = sulphurs
    content = CellContent(60, B_ISO, ("ACMC",), 1, ())
    assert number_of_sulphurs(content) == 3
    search = HeavyAtomSearch(data)
    function = search.function
    found = search.find(3)
    F_true = function.moved(search.atom, frac[:3]).sum(0)
    true = float(function.correlation(F_true[None])[0])
    assert found[0].correlation == pytest.approx(true, abs=0.02)
    assert found[0].correlation > found[1].correlation
    phi = [np.degrees(np.angle(function.moved(search.atom, s.frac).sum(0))) for s in found[:1]]
    compared = compare_phases(
        data.hkl, data.f, phi[0], np.degrees(np.angle(F)), data.cell, data.space_group
    )
    assert compared.weighted_aligned < 55  # of three atoms alone


def test_what_an_atom_adds_is_what_it_adds(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, _, frac = sulphurs
    function = HeavyAtomSearch(data).function
    atom = function.mates(np.zeros((1, 3)), np.ones(1, dtype=np.int64))
    point = (3, 5, 7)
    own = function.moved(atom, np.array([point]) / np.array(function.shape))[0]
    weight = function.multiplicity * (function.e**2 - 1) / function.root_epsilon**2
    alone = (weight * np.abs(own) ** 2).sum() - len(function.rotations) * weight.sum()
    assert function.alone(atom)[point] == pytest.approx(alone, abs=1e-9)
    placed = function.moved(atom, frac[:1])[0]
    cross = (weight * (np.abs(placed + own) ** 2 - np.abs(placed) ** 2 - np.abs(own) ** 2)).sum()
    assert function.beside(atom, placed)[point] == pytest.approx(cross, abs=1e-9)


def test_numbers_are_settings(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, _, _ = sulphurs
    content = CellContent(60, B_ISO, ("ACMC",), 1, ())
    assert number_of_sulphurs(content, settings=HeavyAtomSettings(max_atoms=2)) == 0
    few = HeavyAtomSettings(seeds=4, beam=3, refined=2)
    assert len(HeavyAtomSearch(data, settings=few).find(2)) <= 2
