"""Sulphurs completed to the whole structure."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.heavy_atom_method import sulphur_candidates
from crysformer.phasing.problem import phase_problem

B_ISO = 6.0  # A^2, of the crystal


def test_sulphurs_complete_a_crystal(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, _ = sulphurs
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
    content = CellContent(60, B_ISO, ("ACMC",), 1, ())
    said: list[str] = []
    found = sulphur_candidates(
        problem,
        data,
        mapping,
        content,
        torch.Generator().manual_seed(0),
        time.monotonic() + 60,
        said.append,
    )
    assert said[0] == "placing 3 sulphur atoms"
    assert found[0].figures["r"] < 0.15
    assert found[0].atoms is not None
    assert found[0].atoms.frac.shape[1] >= 60
    phases = grid_to_hkl(found[0].F, torch.as_tensor(p1.hkl)).numpy()
    compared = compare_phases(
        p1.hkl,
        p1.f,
        np.degrees(np.angle(phases)),
        mapping.phases(np.degrees(np.angle(F))),
        data.cell,
        p1.space_group,
    )
    assert compared.weighted_aligned < 15
    # no sulphur, nothing to begin with
    none = CellContent(60, B_ISO, ("AAAA",), 1, ())
    assert not sulphur_candidates(
        problem, data, mapping, none, torch.Generator().manual_seed(0), time.monotonic()
    )
