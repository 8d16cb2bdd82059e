"""Steps of one building: which models count, and what a failed step leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building import build_run
from crysformer.building.build_run import BuildRun
from crysformer.building.clock import Clock
from crysformer.building.dictionaries import Dictionaries
from crysformer.building.refinement.refiner import RefinedStructure, RefinementFailed
from crysformer.building.settings import BuildSettings
from crysformer.building.starting_model.plain_model import plain_model
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.testing import sample

SAMPLE = sample("5e5z")
Step = Callable[[gemmi.Structure], gemmi.Structure]


class Scripted:
    """A refinement program whose runs are given: a change of the model, or a failure."""

    program, full = "scripted", True
    dictionaries = Dictionaries(None, "a test")

    def __init__(self, steps: list[Step | None]) -> None:
        self.steps, self.asked = steps, list[tuple[str, bool]]()

    def refine(
        self, structure: gemmi.Structure, data: CrystalData, free: np.ndarray, *, cycles: int,
        displacement: str = "iso", hydrogens: bool = False, deadline: float,
    ) -> RefinedStructure:  # fmt: skip
        self.asked.append((displacement, hydrogens))
        step = self.steps.pop(0) if self.steps else (lambda x: x)
        if step is None:
            raise RefinementFailed("it broke")
        done = len(self.asked)
        return RefinedStructure(
            step(structure.clone()), "scripted 1", cycles, "", {"r_work": 0.1 * done}
        )


def same(structure: gemmi.Structure) -> gemmi.Structure:
    return structure


def worse(structure: gemmi.Structure) -> gemmi.Structure:
    for i, site in enumerate(structure[0].all()):
        site.atom.pos += gemmi.Position(0.4 * (-1) ** i, 0, 0)
    return structure


@pytest.fixture(scope="module")
def data() -> CrystalData:
    return read_crystal(SAMPLE.data_path)


@pytest.fixture(scope="module")
def model() -> gemmi.Structure:
    return plain_model(gemmi.read_structure(str(SAMPLE.model_path)))[0]


SETTINGS = BuildSettings(
    cycles=10, more_cycles=20, short_cycles=5, rebuilds=0, folds=3, hydrogens_d_min=3.0,
    anisotropic_d_min=3.0, anisotropic_reflections=0.5, amide_d_min=4.0,
)  # fmt: skip


def run(data: CrystalData, refiner: Scripted, **changes: object) -> BuildRun:
    settings = replace(SETTINGS, **changes)
    return BuildRun(data, free_set(data), settings, refiner, Clock(1e6, None), [])


def dry(settings: BuildSettings) -> BuildSettings:
    return replace(settings, waters=replace(settings.waters, rounds=0))


@pytest.mark.parametrize("step", ["hydrogens", "anisotropic B"])
def test_a_step_that_fails_does_not_change_the_kind_of_the_model(
    step: str, data: CrystalData, model: gemmi.Structure
) -> None:
    refiner = Scripted([same, None] if step == "hydrogens" else [same, worse, None])
    work = run(data, refiner, waters=dry(SETTINGS).waters)
    state = work.first(model)
    with pytest.raises(RefinementFailed, match="it broke"):
        work.improved(state, (), torch.Generator())
    assert refiner.asked[-1] == (("iso", True) if step == "hydrogens" else ("aniso", False))
    folds = work.k_fold(work.best, 0, math.inf)
    assert folds is not None
    assert folds.folds == 3
    assert refiner.asked[-3:] == [("iso", False)] * 3


def test_cycles_and_figures_are_those_of_the_model(
    data: CrystalData, model: gemmi.Structure
) -> None:
    refiner = Scripted([same, worse, worse])
    work = run(data, refiner, waters=dry(SETTINGS).waters)
    state = work.improved(work.first(model), (), torch.Generator())
    assert refiner.asked == [("iso", False), ("iso", True), ("aniso", False)]
    assert (state.program, state.cycles) == ("scripted 1", 10)
    assert state.figures == {"r_work": 0.1}
    assert sum("not kept" in note for note in work.notes) == 2


def test_poor_waters_go_without_time_for_another_refinement(
    data: CrystalData, model: gemmi.Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry_model = model.clone()
    dry_model.remove_waters()
    n_real = sum(r.is_water() for chain in model[0] for r in chain)
    poor = model.clone()
    for chain in poor[0]:
        for residue in chain:
            if residue.is_water():
                bad = residue.clone()
                bad.seqid.num = 900
                bad[0].pos += gemmi.Position(1.2, 0, 0)
                bad[0].b_iso = 500.0
                break
        else:
            continue
        chain.add_residue(bad)
        break
    monkeypatch.setattr(build_run, "with_new_waters", lambda *args: (poor, n_real + 1))
    refiner = Scripted([])
    work = run(data, refiner, hydrogens_d_min=0.3, anisotropic_d_min=0.3)
    state = work.first(dry_model)
    times = iter([True, False, False])
    monkeypatch.setattr(work, "_time", lambda: next(times, False))
    wet = work.improved(state, (), torch.Generator())
    numbers = [r.seqid.num for chain in wet.structure[0] for r in chain if r.is_water()]
    assert wet is not state
    assert 900 not in numbers
    assert len(numbers) == n_real
    assert wet.r.r_work < state.r.r_work


def test_no_model_is_written_that_was_not_refined(
    data: CrystalData, model: gemmi.Structure
) -> None:
    work = run(data, Scripted([None]))
    work.clock.end = work.clock.begun
    with pytest.raises(RefinementFailed, match="it broke; give it more time with `build_time_lim"):
        work.first(model)
