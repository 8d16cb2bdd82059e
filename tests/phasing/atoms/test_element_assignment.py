"""Elements from scattering power."""

from __future__ import annotations

from collections import Counter

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.phasing.atoms.element_assignment import assign_elements

# At 0.85 A, for nitrogen's 7.
EXPECTED = {
    "C": 5.4, "N": 7.0, "O": 8.6, "F": 10.3, "Na": 12.9, "Si": 14.7, "P": 15.6, "S": 16.7,
    "Cl": 17.9, "K": 20.5, "Fe": 30.3, "Cu": 35.4, "Zn": 36.6, "Br": 41.8, "Pd": 55.6, "I": 63.2,
    "Pt": 100.1,
}  # fmt: skip
TRUE = np.array([6] * 14 + [7] * 3 + [8] * 4 + [16, 17, 35])
NEIGHBOURS = np.array([3] * 14 + [2] * 3 + [1] * 4 + [2, 1, 1])
COMPOSITION = {"C": 14, "N": 3, "O": 4, "S": 1, "Cl": 1, "Br": 1}


POWER = np.array([EXPECTED[gemmi.Element(int(z)).name] for z in TRUE])


def powers(error: float, seed: int = 0) -> NDArray[np.float64]:
    return POWER + np.random.default_rng(seed).normal(0, error, len(TRUE))


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("composition", [None, COMPOSITION])
def test_the_scale_of_the_powers_is_found(scale: float, composition: dict[str, int] | None) -> None:
    found = assign_elements(scale * powers(0.2), EXPECTED, NEIGHBOURS, composition)
    np.testing.assert_array_equal(found.number, TRUE)
    assert found.scale == pytest.approx(1 / scale, rel=0.03)


def test_a_composition_settles_what_errors_leave_open() -> None:
    wrong, kept = 0, 0
    for seed in range(20):
        noisy = powers(0.6, seed)
        free = assign_elements(noisy, EXPECTED, NEIGHBOURS)
        bound = assign_elements(noisy, EXPECTED, NEIGHBOURS, COMPOSITION)
        wrong += int((free.number != TRUE).sum())
        kept += int((bound.number != TRUE).sum())
        counts = Counter(gemmi.Element(int(z)).name for z in bound.number)
        assert all(counts[name] <= n for name, n in COMPOSITION.items() if name not in "CNO")
    assert kept < 0.7 * wrong


def test_neighbours_tell_sulphur_from_chlorine() -> None:
    like_chlorine = np.concatenate((POWER[:21], [17.6, 17.6]))
    neighbours = np.concatenate((NEIGHBOURS[:21], [2, 1]))
    found = assign_elements(like_chlorine, EXPECTED, neighbours)
    assert found.number[-2:].tolist() == [16, 17]


def test_atoms_on_their_own_are_water_also_in_part() -> None:
    powers_of = np.concatenate((POWER, [4.0, 6.0, 8.6]))
    neighbours = np.concatenate((NEIGHBOURS, [0, 0, 0]))
    for composition in (None, COMPOSITION):
        found = assign_elements(powers_of, EXPECTED, neighbours, composition)
        assert found.number[-3:].tolist() == [8, 8, 8]
        np.testing.assert_array_equal(found.number[:-3], TRUE)


def test_atoms_that_do_not_fit_a_composition_stay_what_they_scatter_like() -> None:
    without_oxygen = {"C": 14, "N": 3, "S": 1, "Cl": 1, "Br": 1}
    found = assign_elements(powers(0.05), EXPECTED, NEIGHBOURS, without_oxygen)
    np.testing.assert_array_equal(found.number, TRUE)
