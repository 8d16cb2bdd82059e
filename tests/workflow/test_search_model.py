from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.free_refinement import FreeRefinementSettings
from crysformer.building.scaling import scale_model
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.restrained import RestrainedSettings
from crysformer.phasing.solution import Solution
from crysformer.testing import measured_peptide
from crysformer.workflow import search_model
from crysformer.workflow.search_model import with_refined_model
from crysformer.workflow.solution_files import write_solution


@pytest.fixture
def found() -> tuple[CrystalData, Solution]:
    """5E5Z as if a search had found the deposited model, B 20 A^2 too high."""
    data, model = measured_peptide()
    zero = np.zeros(len(data))
    solution = Solution(
        solved=True,
        confidence=1.0,
        method="sequence",
        f=zero,
        phi=zero,
        fom=zero,
        density=DensityMap(np.zeros((4, 4, 4), np.float32), data.cell, data.space_group),
        space_group=data.space_group,
        hand_probability=1.0,
        enantiomorph={},
        origin="",
        candidates=(),
        seconds=0.0,
        notes=("found",),
        model=replace(model, b_iso=model.b_iso + 20),
    )
    return data, solution


def test_claimed_model_gets_r_free(
    found: tuple[CrystalData, Solution], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, solution = found
    monkeypatch.setattr(
        search_model,
        "SETTINGS",
        FreeRefinementSettings(worse=1.0, time_limit=0.0, restrained=RestrainedSettings(steps=30)),
    )
    refined = with_refined_model(solution, data)
    summary = write_solution(tmp_path, data, refined)
    numbers = summary["refinement"]
    assert {"r_work", "r_free", "n_work", "n_free", "r_free_error", "mean_b"} <= set(numbers)
    assert numbers["n_free"] == 18
    assert numbers["n_work"] == 385
    assert any("found with all reflections, then displaced by 0.3 A" in x for x in refined.notes)
    written = gemmi.read_structure(str(tmp_path / "model.cif"))
    b = np.mean([cra.atom.b_iso for cra in written[0].all()])
    assert b == pytest.approx(numbers["mean_b"], abs=0.02)
    scaled = scale_model(written, data, free_set(data))
    assert abs(scaled.b_shift) < 0.2


def test_model_that_is_not_claimed_only_gets_its_b(found: tuple[CrystalData, Solution]) -> None:
    data, solution = found
    kept = with_refined_model(replace(solution, solved=False, confidence=0.3), data)
    assert kept.refinement is None
    assert kept.to_summary()["refinement"] is None
    assert kept.model is not None
    assert solution.model is not None
    assert (kept.model.xyz == solution.model.xyz).all()
    assert kept.model.b_iso.mean() < solution.model.b_iso.mean() - 15


def test_solution_without_a_peptide_model_is_as_it_was(
    found: tuple[CrystalData, Solution],
) -> None:
    data, solution = found
    without = replace(solution, model=None)
    assert with_refined_model(without, data) is without


def test_flags_of_the_file_stay_as_they_are(
    found: tuple[CrystalData, Solution], tmp_path: Path
) -> None:
    data, solution = found
    write_solution(tmp_path, data, solution)
    flags = gemmi.read_mtz_file(str(tmp_path / "solution.mtz")).column_with_label("FreeR_flag")
    expected = np.where(data.free == NO_FLAG, np.nan, data.free)
    np.testing.assert_array_equal(flags.array, expected)
