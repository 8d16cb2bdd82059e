"""A population of poses in the space group of the crystal."""

import time
from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.compiled_target import CompiledTarget
from crysformer.phasing.sequence_search.population import Population
from crysformer.phasing.sequence_search.settings import SequenceSettings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_crystal_with_a_screw_axis_is_solved(packed_crystal: Callable[..., Any]) -> None:
    cell = gemmi.UnitCell(8.2, 7.6, 10.4, 90, 104, 90)
    crystal = packed_crystal(cell, "P 1 21 1", "SG")
    settings = SequenceSettings(small_screened=4000, small_starts=400, population=50)
    search = Population(crystal.data, ("SG",), 20.0, generator(), settings=settings)
    found = search.advance(time.monotonic() + 4.0)
    number = search.kinematics.peptides.number
    exact = AmplitudeTarget(crystal.data, number, 20.0, by_element=True)
    F = exact.structure_factors(search.kinematics.coordinates(found.pose[:1])[0])[0]
    compared = crystal.compare_phases(np.rad2deg(np.angle(F)))
    assert compared.cosine2_aligned > SOLVED_COSINE


def test_functions_are_compiled_where_a_search_takes_long(
    packed_crystal: Callable[..., Any],
) -> None:
    pytest.importorskip("numba")
    cell = gemmi.UnitCell(9.0, 10.0, 14.0, 90, 100, 90)
    data = packed_crystal(cell, "P 1 21 1", "SGG").data
    plain = SequenceSettings(compiled=False)

    def target(sequence: str, settings: SequenceSettings | None = None) -> AmplitudeTarget:
        return Population(data, (sequence,), 20.0, generator(), settings=settings).target

    assert isinstance(target("SGG"), CompiledTarget)
    assert not isinstance(target("SGG", plain), CompiledTarget)
    assert not isinstance(target("SG"), CompiledTarget)
