"""Placing a candidate: what the file lists but nobody measured gets no phase."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from crysformer.crystal.io.read import read_crystal
from crysformer.phasing.budget import GRACE
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.origin import hand
from crysformer.phasing.origin.crystal_setting import to_crystal_setting
from crysformer.phasing.problem import phasing_problem
from crysformer.samples import SAMPLES


def test_a_list_that_goes_far_beyond_the_measured_resolution() -> None:
    sample = next(s for s in SAMPLES if s.name == "gf")
    whole = read_crystal(sample.data_path)
    data = replace(whole, f=np.where(whole.d < 2.4, np.nan, whole.f))
    problem = phasing_problem(data, (sample.sequence,))
    assert (2 * np.abs(data.hkl) > problem.grid.shape).any()  # beyond what the grid can hold

    generator = torch.Generator().manual_seed(0)
    start = random_phases(problem.grid, 1, generator)
    candidate = polish_by_density_modification(
        problem, "test", start, torch.tensor([0.2]), 1, generator
    )[0]
    placed = to_crystal_setting(problem, candidate, generator)

    assert (np.isfinite(placed.phi) == data.measured).all()
    assert ((placed.fom > 0) <= data.measured).all()


def test_no_search_of_atoms_is_begun_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = next(s for s in SAMPLES if s.name == "gf")
    problem = phasing_problem(read_crystal(sample.data_path), (sample.sequence,))
    generator = torch.Generator().manual_seed(0)
    start = random_phases(problem.grid, 1, generator)
    candidate = polish_by_density_modification(
        problem, "test", start, torch.tensor([0.2]), 1, generator
    )[0]
    deadlines: list[float] = []
    search = hand.atomic_candidates

    def spy(*args: Any) -> Any:
        deadlines.append(args[-1])
        return search(*args)

    monkeypatch.setattr(hand, "atomic_candidates", spy)
    late = to_crystal_setting(problem, candidate, generator, time.monotonic() - 1)
    assert not deadlines
    assert late.hand_probability == 0.5
    assert any("undetermined" in note for note in late.notes)

    by = time.monotonic() + 60
    to_crystal_setting(problem, candidate, generator, by)
    # refinement goes on for the time of a rating after its deadline
    assert deadlines == [pytest.approx(by - GRACE)]
