"""Crystals whose space group is stated wrongly, or not at all, from amplitudes to phases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.data.synthetic.small_molecule_crystal import (
    SmallMoleculeCrystal,
    small_molecule_crystal,
)
from crysformer.phasing.solution import Solution
from crysformer.phasing.solver import solve
from crysformer.workflow.solution_files import write_solution

TRUE = "P 1 21/c 1"


@pytest.fixture(scope="module")
def wrong_axis() -> SmallMoleculeCrystal:
    """A P21/c crystal whose data are merged in P2."""
    return small_molecule_crystal(TRUE, 7, n_atoms=12, d_min=0.9, stated_group="P 1 2 1")


@pytest.fixture(scope="module")
def true() -> SmallMoleculeCrystal:
    """The same crystal with its true space group."""
    return small_molecule_crystal(TRUE, 7, n_atoms=12, d_min=0.9)


@pytest.fixture(scope="module")
def found(wrong_axis: SmallMoleculeCrystal) -> Solution:
    return solve(wrong_axis.data, time_limit=100, find_space_group=True)


def test_a_wrong_screw_axis_is_named_and_nothing_is_claimed(
    wrong_axis: SmallMoleculeCrystal,
) -> None:
    solution = solve(wrong_axis.data, time_limit=100)
    assert not solution.solved
    assert solution.seconds < 100  # the search ends before its limit: another group is certain
    assert solution.space_group.xhm() == "P 1 2 1"
    assert len(solution.phi) == len(wrong_axis.data)
    first = solution.space_groups[0]
    assert first.name == TRUE
    stated = next(group for group in solution.space_groups if group.stated)
    assert not stated.supported
    assert any(f"support space group {TRUE}" in note for note in solution.notes)


def test_the_solution_is_written_in_the_group_found(
    wrong_axis: SmallMoleculeCrystal, true: SmallMoleculeCrystal, found: Solution, tmp_path: Path
) -> None:
    assert found.solved
    assert found.space_group.xhm() == TRUE
    assert found.data is not None
    assert found.data.space_group.xhm() == TRUE
    true_phi = dict(zip(map(tuple, true.data.hkl.tolist()), true.phi_true, strict=True))
    measured = found.data.measured
    reference = np.full(len(found.data), np.nan)
    reference[measured] = [true_phi[tuple(h)] for h in found.data.hkl[measured].tolist()]
    compared = compare_phases(
        found.data.hkl, found.data.f, found.phi, reference, found.data.cell, found.space_group
    )
    assert compared.cosine2_aligned >= SOLVED_COSINE
    # about an inversion centre phases are 0 or 180
    assert np.abs(np.sin(np.deg2rad(found.phi[measured]))).max() < 1e-6
    assert found.hand_probability == 1.0
    summary = write_solution(tmp_path, wrong_axis.data, found)
    assert json.loads(json.dumps(summary))["space_groups"][0]["name"] == TRUE
    mtz = gemmi.read_mtz_file(str(tmp_path / "solution.mtz"))
    assert mtz.spacegroup.xhm() == TRUE
    assert mtz.nreflections == len(found.data)


def test_right_group_stays_first_and_says_nothing(true: SmallMoleculeCrystal) -> None:
    solution = solve(true.data, time_limit=100)
    assert solution.solved
    assert solution.space_groups[0].stated
    assert solution.space_groups[0].name == TRUE
    assert not any("support space group" in note for note in solution.notes)


@pytest.mark.slow
def test_a_file_without_space_group_is_solved(tmp_path: Path) -> None:
    crystal = small_molecule_crystal("P 21 21 21", 8, n_atoms=12, d_min=0.9)
    data = crystal.data
    lines = [
        f"{h:4d}{k:4d}{l:4d}{f:8.2f}{s:8.2f}"
        for (h, k, l), f, s in zip(  # noqa: E741
            data.hkl.tolist(), data.f**2, 2 * data.f * data.sigf, strict=True
        )
    ]
    path = tmp_path / "data.hkl"
    path.write_text("\n".join([*lines, f"{0:4d}{0:4d}{0:4d}{0:8.2f}{0:8.2f}"]) + "\n")
    read = read_crystal(path, cell=data.cell, unknown_group=True)
    assert not read.space_group_known
    assert read.space_group.xhm() == "P 2 2 2"
    solution = solve(replace(read, source="data.hkl"), time_limit=100)
    assert solution.solved
    assert solution.space_group.xhm() == "P 21 21 21"
