from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.crystal.normalisation import (
    epsilon_factors,
    normalized_amplitudes,
    normalized_e,
    sharpen,
    sum_of_squares,
    wilson_b,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError

COMPOSITION = {"C": 200.0, "N": 54.0, "O": 60.0, "S": 2.0}


def wilson_crystal(
    space_group: str = "P 21 21 21", b_iso: float = 17.0, scale: float = 2.5
) -> CrystalData:
    """Amplitudes that obey Wilson's statistics exactly: acentric, with known scale and B."""
    group = gemmi.SpaceGroup(space_group)
    cell = gemmi.UnitCell(25, 31, 36, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, group, 1.4)
    s_sq = cell.calculate_1_d2_array(hkl)
    mean = epsilon_factors(hkl, group) * sum_of_squares(COMPOSITION, s_sq)
    rng = np.random.default_rng(0)
    intensity = mean * np.exp(-b_iso * s_sq / 2) * rng.exponential(size=len(hkl))
    return CrystalData(cell, group, hkl, scale * np.sqrt(intensity))


def test_unit_mean_square_in_shells_and_no_trend() -> None:
    data = wilson_crystal()
    e = normalized_e(data)
    used = data.measured
    for shell in np.array_split(np.flatnonzero(used)[np.argsort(-data.d[used])], 30):
        assert np.mean(e[shell] ** 2) == pytest.approx(1, abs=1e-5)
    # acentric: <|E|> = sqrt(pi) / 2
    assert np.nanmean(e) == pytest.approx(np.sqrt(np.pi) / 2, abs=0.02)
    assert abs(np.corrcoef(e[used] ** 2, data.d[used])[0, 1]) < 0.03


def test_scale_and_b_do_not_matter() -> None:
    data = wilson_crystal()
    other = replace(data, f=sharpen(1e4 * data.f, data.d, 9.0))
    a, b = normalized_e(data), normalized_e(other)
    # a change of B bends the interpolated curve a little inside a shell
    np.testing.assert_allclose(a[data.measured], b[data.measured], rtol=2e-2)


def test_epsilon_equals_gemmi_and_is_taken_out() -> None:
    group = gemmi.SpaceGroup("P 41 21 2")
    hkl = gemmi.make_miller_array(gemmi.UnitCell(30, 30, 40, 90, 90, 90), group, 3)
    operations = group.operations()
    expected = [operations.epsilon_factor_without_centering(h) for h in hkl.tolist()]
    np.testing.assert_array_equal(epsilon_factors(hkl, group), expected)
    assert set(expected) == {1, 2, 4}

    data = wilson_crystal("P 21 21 21")
    special = epsilon_factors(data.hkl, data.space_group) == 2
    e = normalized_e(data)[special & data.measured]
    assert len(e) > 25
    assert np.mean(e**2) == pytest.approx(1, abs=0.5)  # 2 without epsilon


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_wilson_plot_finds_scale_and_b(missing: float) -> None:
    data = wilson_crystal(b_iso=17.0, scale=2.5)
    hidden = np.random.default_rng(1).random(len(data)) < missing
    fit = wilson_b(replace(data, f=np.where(hidden, np.nan, data.f)), COMPOSITION)
    assert fit.b_iso == pytest.approx(17.0, abs=1.0)
    assert fit.scale == pytest.approx(2.5, rel=0.1)


def test_wilson_b_of_sharpened_data() -> None:
    data = wilson_crystal(b_iso=17.0)
    before = wilson_b(data).b_iso
    after = wilson_b(replace(data, f=sharpen(data.f, data.d, 12.0))).b_iso
    assert before - after == pytest.approx(12.0, abs=0.2)


def test_sum_of_squares_at_rest_at_low_resolution() -> None:
    assert sum_of_squares({"C": 2.0, "O": 1.0}, np.array([0.0]))[0] == pytest.approx(
        2 * 6**2 + 8**2, rel=0.01
    )


def test_few_missing_and_bad_amplitudes() -> None:
    d = np.array([3.0, 2.5, 2.0, 1.8])
    e = normalized_amplitudes(np.array([5.0, np.nan, 4.0, 3.0]), d)
    assert np.isnan(e[1])
    assert np.nanmean(e**2) == pytest.approx(1)
    assert normalized_amplitudes(np.array([7.0]), np.array([2.0])) == pytest.approx([1.0])
    with pytest.raises(InputError, match="no amplitude"):
        normalized_amplitudes(np.full(4, np.nan), d)
    with pytest.raises(InputError, match="no amplitude"):
        normalized_amplitudes(np.zeros(4), d)
    data = wilson_crystal()
    with pytest.raises(InputError, match="needs 3"):
        wilson_b(data.select(np.arange(len(data)) < 2))
