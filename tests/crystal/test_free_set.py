from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.crystal.free_set import folds, free_set
from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.quality.twinning import MateLookup
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells


def crystal(group: str = "P 21 21 21", edge: float = 20.0, d_min: float = 1.5) -> CrystalData:
    """All reflections of an orthorhombic or trigonal cell, each with an amplitude."""
    trigonal = group.startswith("P 3")
    gamma, b = (120.0, edge) if trigonal else (90.0, 1.2 * edge)
    cell, space_group = gemmi.UnitCell(edge, b, 1.4 * edge, 90, 90, gamma), gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(cell, space_group, d_min).astype(np.int32)
    return CrystalData(cell, space_group, hkl, np.ones(len(hkl)), source="test.mtz")


DATA, SMALL, TRIGONAL = crystal(), crystal(edge=7.0), crystal("P 3", edge=8.0)


def with_flags(flags: np.ndarray) -> CrystalData:
    return replace(DATA, free=flags.astype(np.int32), free_label="FREE")


def drawn_from(values: list[int], weights: list[float]) -> np.ndarray:
    total = np.random.default_rng(1).choice(values, len(DATA), p=np.array(weights) / sum(weights))
    return np.asarray(total)


@pytest.mark.parametrize(
    ("values", "weights", "free", "words"),
    [
        (list(range(20)), [1.0] * 20, 0, "0 of 0 to 19 is free (CCP4)"),
        (list(range(10)), [1.0] * 10, 0, "0 of 0 to 9 is free (CCP4)"),
        ([0, 1], [95.0, 5.0], 1, "1 is free, 0 is not (CNS, Phenix)"),
        ([0, 1], [5.0, 95.0], 0, "0 is free, 1 is not (CCP4, SF-mmCIF)"),
        ([-1, 1], [10.0, 90.0], -1, "-1 is free, 1 is not (SHELXL)"),
        ([0, 1, 2], [85.0, 2.0, 13.0], 1, "1 is free, the rarest of 3 values"),
    ],
)
def test_the_convention_of_the_file_is_recognised(
    values: list[int], weights: list[float], free: int, words: str
) -> None:
    flags = drawn_from(values, weights)
    found = free_set(with_flags(flags))
    assert found.origin == "file"
    assert found.convention == words
    assert (found.free == (flags == free)).all()
    assert (found.flags == flags).all()
    assert f"{(flags == free).sum()} of {len(DATA)} reflections" in found.note


@pytest.mark.parametrize(
    ("values", "weights", "reason"),
    [
        ([1], [1.0], "one flag (1) for all reflections"),
        ([0], [1.0], "one flag (0) for all reflections"),
        ([0, 1], [1.0, 1.0], "expected 0.5% to 25% in a free set"),
        ([0, 1], [0.002, 0.998], "expected 0.5% to 25% in a free set"),
        ([0, 1, 2], [1.0, 1.0, 1.0], "expected 0.5% to 25% in a free set"),
    ],
)
def test_flags_that_are_no_free_set_are_refused(
    values: list[int], weights: list[float], reason: str
) -> None:
    found = free_set(with_flags(drawn_from(values, weights)))
    assert found.origin == "drawn"
    assert reason in found.note
    assert "free set drawn (seed 0)" in found.note


def test_reflections_without_a_flag_are_working() -> None:
    flags = drawn_from([0, 1], [5.0, 95.0])
    flags[::7] = NO_FLAG
    found = free_set(with_flags(flags))
    assert (found.free == (flags == 0)).all()
    assert f"{len(flags[::7])} reflections without a flag" in found.note


def test_only_measured_reflections_count() -> None:
    third, twentieth = len(DATA) // 3, len(DATA) // 20
    flags, f = np.ones(len(DATA)), np.ones(len(DATA))
    flags[:third] = 0  # a third of the list, but few of the measured ones
    f[: third - twentieth] = np.nan
    data = replace(with_flags(flags), f=f)
    found = free_set(data)
    assert found.origin == "file"
    assert found.n_free(data) == twentieth


@pytest.mark.parametrize(
    ("edge", "d_min", "fraction"), [(10.0, 1.5, 0.10), (20.0, 1.5, 0.10), (36.0, 1.6, 0.05)]
)
def test_five_to_ten_percent_are_drawn(edge: float, d_min: float, fraction: float) -> None:
    data = crystal(edge=edge, d_min=d_min)
    found = free_set(data)
    assert found.origin == "drawn"
    assert found.free.mean() == pytest.approx(fraction, abs=2 / len(data) + 0.001)


def test_a_drawn_set_is_numbered_as_ccp4_does() -> None:
    found = free_set(DATA)
    again = free_set(replace(DATA, free=found.flags, free_label="FreeR_flag"))
    assert again.origin == "file"
    assert again.convention == found.convention
    assert (again.free == found.free).all()


def test_a_seed_gives_the_same_set() -> None:
    assert (free_set(DATA, seed=3).free == free_set(DATA, seed=3).free).all()
    assert (free_set(DATA, seed=3).free != free_set(DATA, seed=4).free).any()


def test_every_shell_of_resolution_has_its_part_of_the_free_set() -> None:
    found = free_set(DATA, fraction=0.1)
    for rows in resolution_shells(DATA.d**-2.0, per_shell=100, most=1000):
        assert abs(found.free[rows].sum() - len(rows) / 10) <= 3


@given(st.integers(2, 25), st.integers(0, 2**31))
def test_folds_hold_every_reflection_once(k: int, seed: int) -> None:
    parts = folds(SMALL, k, seed)
    assert (np.sum([part.free for part in parts], axis=0) == 1).all()
    sizes = [part.n_free(SMALL) for part in parts]
    # groups of mates by the lattice's symmetry are of one size each, but for few
    assert max(sizes) - min(sizes) <= 2


@given(st.integers(0, 2**31))
def test_mates_by_a_twin_law_are_free_together(seed: int) -> None:
    free = free_set(TRIGONAL, seed=seed).free
    lookup = MateLookup(TRIGONAL, np.arange(len(TRIGONAL)))
    laws = gemmi.find_twin_laws(TRIGONAL.cell, TRIGONAL.space_group, 3.0, False)
    assert len(laws) >= 3
    for law in laws:
        matrix = np.rint(np.array(law.float_seitz())[:3, :3]).astype(int)
        mates = lookup.rows(TRIGONAL.hkl @ matrix)
        assert (free[mates[mates >= 0]] == free[mates >= 0]).all()


def test_given_twin_laws_replace_those_of_the_lattice() -> None:
    lookup = MateLookup(TRIGONAL, np.arange(len(TRIGONAL)))
    mates = lookup.rows(TRIGONAL.hkl[:, [1, 0, 2]] * [1, 1, -1])
    related = free_set(TRIGONAL, twin_laws=["k,h,-l"]).free
    assert (related[mates] == related).all()
    unrelated = free_set(TRIGONAL, twin_laws=[]).free
    assert (unrelated[mates] != unrelated).any()
    assert unrelated.sum() == pytest.approx(len(TRIGONAL) / 10, abs=1)
