"""Controls: the right statistics, and nothing left to solve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.regimes.controls import (
    CONTROLS,
    has_truth,
    impose_control,
    shuffled_within_shells,
    wilson_random,
    wrong_sequence,
)
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.peptide.residues import CODES, N_ATOMS


@pytest.fixture(scope="module")
def fifteen(fifteens: Path) -> SyntheticCrystal:
    table = FragmentStore.open(fifteens).table("test")
    return grid_crystal(
        table, Condition(15, "rich", DataQuality(d_min=2.0, completeness=0.8)), 0, 0
    )


def shell_means(f: np.ndarray, d: np.ndarray) -> np.ndarray:
    order = np.argsort(d)
    return np.array([(f[rows] ** 2).mean() for rows in np.array_split(order, 10)])


def test_there_are_300_controls_by_default() -> None:
    assert 20 * len(CONTROLS) >= 300
    assert {c.control for c in CONTROLS} == {
        "",
        "shuffled",
        "wilson",
        "wrong-sequence",
    }
    assert any(condition.quality.d_min == 4.0 for condition in CONTROLS)
    assert any(condition.quality.amplitude_error == 0.5 for condition in CONTROLS)


def test_shuffled_amplitudes_are_the_same_ones_elsewhere(fifteen: SyntheticCrystal) -> None:
    data = fifteen.data
    shuffled = shuffled_within_shells(data, np.random.default_rng(0))
    used = data.measured
    assert np.array_equal(shuffled.measured, used)
    np.testing.assert_array_equal(np.sort(shuffled.f[used]), np.sort(data.f[used]))
    d = data.d[used]
    np.testing.assert_allclose(
        shell_means(shuffled.f[used], d), shell_means(data.f[used], d), rtol=0.05
    )
    # nothing of |E| is left: intensities over their mean at that resolution do not correlate
    order = np.argsort(d)
    e, other = (
        np.concatenate([part / part.mean() for part in np.array_split(f[used][order] ** 2, 60)])
        for f in (data.f, shuffled.f)
    )
    assert abs(np.corrcoef(e, other)[0, 1]) < 4 / np.sqrt(len(e))


def test_wilson_amplitudes_have_wilson_moments(fifteen: SyntheticCrystal) -> None:
    data = fifteen.data
    random = wilson_random(data, np.random.default_rng(0))
    used = data.measured
    assert np.array_equal(random.measured, used)
    np.testing.assert_allclose(
        shell_means(random.f[used], data.d[used]), shell_means(data.f[used], data.d[used]), rtol=0.2
    )
    order = np.argsort(data.d[used])
    parts = np.array_split(random.f[used][order] ** 2, 60)
    ratio = np.mean([(part**2).mean() / part.mean() ** 2 for part in parts])
    assert ratio == pytest.approx(2.0, abs=0.15)  # <I^2> / <I>^2 of acentric reflections
    assert random.sigf is not None
    assert data.sigf is not None
    np.testing.assert_allclose((random.sigf / random.f)[used], (data.sigf / data.f)[used])


def test_a_wrong_sequence_is_wrong_everywhere_and_of_the_same_size() -> None:
    rng = np.random.default_rng(0)
    true = CODES + "," + CODES
    wrong = wrong_sequence(true, rng)
    assert len(wrong) == len(true)
    assert [i for i, letter in enumerate(wrong) if letter == ","] == [len(CODES)]
    assert all(a != b for a, b in zip(wrong, true, strict=True) if a != ",")
    size = dict(zip(CODES, N_ATOMS.tolist(), strict=True))
    assert max(abs(size[a] - size[b]) for a, b in zip(wrong, true, strict=True) if a != ",") <= 5


def test_only_controls_change_crystals(fifteen: SyntheticCrystal) -> None:
    rng = np.random.default_rng(0)
    assert impose_control(fifteen, "", rng) is fifteen
    assert impose_control(fifteen, "wrong-sequence", rng).data is fifteen.data
    assert not has_truth("shuffled")
    assert not has_truth("wilson")
    assert has_truth("wrong-sequence")
    assert has_truth("")
