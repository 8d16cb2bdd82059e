"""Sulphurs completed to the whole structure."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.budget import Budget
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.heavy_atom_method import Sulphurs
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.settings import SolveSettings

B_ISO = 6.0  # A^2, of the crystal


def test_sulphurs_complete_a_crystal(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, _ = sulphurs
    problem = replace(phasing_problem(data), content=CellContent(60, B_ISO, ("ACMC",), 1, ()))
    said: list[str] = []
    method = Sulphurs(problem, SolveSettings())
    until = time.monotonic() + 60
    budget = Budget(until, until, torch.Generator().manual_seed(0), said.append)
    found = method.advance(budget)
    assert said[0] == "placing 3 sulphur atoms"
    assert found[0].method == "sulphurs"
    assert found[0].figures.r < 0.15
    assert found[0].atoms is not None
    assert found[0].atoms.frac.shape[1] >= 60
    p1 = problem.grid.data
    compared = compare_phases(
        p1.hkl,
        p1.f,
        np.degrees(np.angle(problem.listed(found[0].F))),
        problem.mapping.phases(np.degrees(np.angle(F))),
        data.cell,
        p1.space_group,
    )
    assert compared.weighted_aligned < 15
    assert method.finished
    # no sulphur, nothing to begin with
    none = replace(problem, content=CellContent(60, B_ISO, ("AAAA",), 1, ()))
    with pytest.raises(NotApplicable, match="C or M residues"):
        Sulphurs(none, SolveSettings())
