"""Placing a candidate: what the file lists but nobody measured gets no phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.candidate import settle
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.origin.crystal_setting import place
from crysformer.phasing.problem import phase_problem
from crysformer.samples import SAMPLES


def test_a_list_that_goes_far_beyond_the_measured_resolution() -> None:
    sample = next(s for s in SAMPLES if s.name == "gf")
    whole = read_crystal(sample.data_path)
    data = replace(whole, f=np.where(whole.d < 2.4, np.nan, whole.f))
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
    assert (2 * np.abs(data.hkl) > problem.shape).any()  # beyond what the grid can hold

    generator = torch.Generator().manual_seed(0)
    content = cell_content(data, (sample.sequence,))
    start = random_phases(problem, 1, generator)
    candidate = settle(problem, content, "test", start, torch.tensor([0.2]), 1, generator)[0]
    placed = place(data, mapping, problem, content, candidate, generator)

    assert (np.isfinite(placed.phi) == data.measured).all()
    assert ((placed.fom > 0) <= data.measured).all()
