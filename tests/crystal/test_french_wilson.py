"""French-Wilson amplitudes against quadrature, the published table, statistics, and servalcat."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.integrate import quad

from crysformer.crystal.french_wilson import (
    REJECT_BELOW,
    french_wilson,
    mean_intensity,
    posterior,
)

CELL = gemmi.UnitCell(40, 50, 60, 90, 90, 90)
GROUP = gemmi.SpaceGroup("P 21 21 21")

# h, E(J), E(F), sd(F): every tenth row of the tables of French & Wilson (1978), three
# decimals. Their centric columns hold rounding errors of a few units in the third decimal.
ACENTRIC_TABLE = [
    (-4.0, 0.226, 0.423, 0.216),
    (-3.0, 0.283, 0.475, 0.239),
    (-2.0, 0.373, 0.549, 0.269),
    (-1.0, 0.525, 0.656, 0.307),
    (0.0, 0.798, 0.822, 0.349),
    (1.0, 1.287, 1.070, 0.376),
    (2.0, 2.055, 1.388, 0.358),
    (3.0, 3.004, 1.706, 0.304),
]
CENTRIC_TABLE = [
    (-4.0, 0.114, 0.269, 0.203),
    (-3.0, 0.145, 0.305, 0.227),
    (-2.0, 0.195, 0.356, 0.261),
    (-1.0, 0.287, 0.438, 0.309),
    (0.0, 0.475, 0.578, 0.375),
    (1.0, 0.890, 0.832, 0.445),
    (2.0, 1.703, 1.227, 0.445),
    (3.0, 2.784, 1.632, 0.349),
]


def quadrature(h: float, centric: bool) -> tuple[float, float, float]:
    """E(F), sd(F), E(J) by integrating over F = sqrt(J) directly."""
    peak = np.sqrt(max(h, 0.0))
    width = 1.0 / np.sqrt(max(abs(h), 1.0))
    low, high = max(peak - 12 * width, 0.0), peak + 12 * width
    scale = 0.0 if h > 0 else h * h / 2

    def moment(k: int) -> float:
        power = k if centric else k + 1
        return quad(
            lambda f: f**power * np.exp(-((f * f - h) ** 2) / 2 + scale),
            low,
            high,
            epsabs=0,
            epsrel=1e-12,
            limit=200,
        )[0]

    norm, first, second = moment(0), moment(1), moment(2)
    mean = first / norm
    return mean, float(np.sqrt(second / norm - mean**2)), second / norm


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize("h", [-60.0, -25.1, -24.9, -8.0, -4.0, -1.3, 0.0, 0.7, 3.0, 12.0, 25.1])
def test_posterior_equals_quadrature(h: float, centric: bool) -> None:
    found = [float(x[0]) for x in posterior(np.array([h]), np.array([centric]))]
    assert found == pytest.approx(quadrature(h, centric), rel=2e-5)


@pytest.mark.parametrize(
    ("centric", "table", "within"), [(False, ACENTRIC_TABLE, 0.002), (True, CENTRIC_TABLE, 0.005)]
)
def test_posterior_equals_published_table(
    centric: bool, table: list[tuple[float, ...]], within: float
) -> None:
    h, j, f, f_sd = np.array(table).T
    mean, spread, mean_j = posterior(h, np.full(len(h), centric))
    np.testing.assert_allclose(mean, f, atol=within)
    np.testing.assert_allclose(spread, f_sd, atol=within)
    np.testing.assert_allclose(mean_j, j, atol=within)
    # F^2 averages to E(J), so E(J) is tied to the first two columns.
    np.testing.assert_allclose(mean**2 + spread**2, j, atol=within)


@pytest.mark.parametrize("centric", [False, True])
def test_posterior_is_smooth_and_increasing(centric: bool) -> None:
    h = np.concatenate([np.linspace(-40, 40, 8001), [1e2, 1e4, 1e7]])
    f, sigf, _ = posterior(h, np.full(len(h), centric))
    assert np.all(np.diff(f) > 0)
    assert np.all(np.isfinite(sigf))
    assert np.all(sigf > 0)
    assert f[-1] == pytest.approx(np.sqrt(1e7), rel=1e-9)
    assert sigf[-1] == pytest.approx(0.5 / np.sqrt(1e7), rel=1e-6)


def wilson_crystal(seed: int, noise: float) -> dict[str, np.ndarray]:
    """Intensities drawn from Wilson's distribution with a B of 20 A^2, and measured with noise."""
    rng = np.random.default_rng(seed)
    hkl = gemmi.make_miller_array(CELL, GROUP, 2.2)
    operations = GROUP.operations()
    centric = np.array(operations.centric_flag_array(hkl), dtype=bool)
    epsilon = np.array(operations.epsilon_factor_without_centering_array(hkl), dtype=float)
    s_sq = np.array(CELL.calculate_1_d2_array(hkl))
    scale = 1000 * np.exp(-20 * s_sq / 2) * epsilon
    normal = rng.normal(size=(2, len(hkl)))
    wilson = np.where(centric, normal[0] ** 2, (normal**2).sum(0) / 2)
    true = scale * wilson
    sigma = noise * 1000 * np.exp(-20 * 0.1 / 2) * rng.uniform(0.5, 1.5, len(hkl))
    return {
        "hkl": hkl,
        "true": true,
        "scale": scale,
        "epsilon": epsilon,
        "s_sq": s_sq,
        "sigma": sigma,
        "i": true + sigma * rng.normal(size=len(hkl)),
    }


def test_mean_intensity_follows_the_fall_off() -> None:
    crystal = wilson_crystal(seed=1, noise=0.05)
    found = mean_intensity(crystal["i"] / crystal["epsilon"], crystal["s_sq"])
    ratio = found / (crystal["scale"] / crystal["epsilon"])
    assert abs(ratio.mean() - 1) < 0.05
    assert ratio.std() < 0.25


def test_amplitudes_are_calibrated() -> None:
    """Against the drawn truth: no bias, errors as stated, better than the cut square root."""
    crystal = wilson_crystal(seed=2, noise=0.4)
    assert (crystal["i"] < 0).mean() > 0.1
    f, sigf = french_wilson(crystal["i"], crystal["sigma"], crystal["hkl"], CELL, GROUP)
    use = np.isfinite(f)
    assert use.mean() > 0.999
    truth = np.sqrt(crystal["true"])
    deviation = ((f - truth) / sigf)[use]
    assert abs(deviation.mean()) < 0.05
    assert 0.95 < deviation.std() < 1.05
    naive = np.sqrt(np.clip(crystal["i"], 0, None))
    assert np.square(f - truth)[use].mean() < 0.7 * np.square(naive - truth)[use].mean()


def test_rejects_what_is_no_measurement() -> None:
    crystal = wilson_crystal(seed=3, noise=0.1)
    crystal["i"][5] = -4.5 * crystal["sigma"][5]
    crystal["i"][6] = np.nan
    f, sigf = french_wilson(crystal["i"], crystal["sigma"], crystal["hkl"], CELL, GROUP)
    assert np.isnan(f[[5, 6]]).all()
    assert np.isnan(sigf[[5, 6]]).all()
    assert np.isfinite(np.delete(f, [5, 6])).all()


def test_shells_without_signal_keep_a_prior() -> None:
    hkl = gemmi.make_miller_array(CELL, GROUP, 3.0)
    i = np.random.default_rng(4).normal(-0.3, 1.0, len(hkl))
    f, sigf = french_wilson(i, np.ones(len(hkl)), hkl, CELL, GROUP)
    use = i >= REJECT_BELOW
    assert (f[use] > 0).all()
    assert (sigf[use] > 0).all()


def test_scale_of_intensities_does_not_matter() -> None:
    crystal = wilson_crystal(seed=5, noise=0.3)
    args = (crystal["hkl"], CELL, GROUP)
    f, sigf = french_wilson(crystal["i"], crystal["sigma"], *args)
    f_large, sigf_large = french_wilson(1e6 * crystal["i"], 1e6 * crystal["sigma"], *args)
    np.testing.assert_allclose(f_large, 1e3 * f, rtol=1e-9)
    np.testing.assert_allclose(sigf_large, 1e3 * sigf, rtol=1e-9)


@pytest.mark.external
def test_agrees_with_servalcat(write_mtz: Callable[..., Path], tmp_path: Path) -> None:
    crystal = wilson_crystal(seed=6, noise=0.3)
    hklin = write_mtz(
        tmp_path / "i.mtz",
        crystal["hkl"],
        [("I", "J", crystal["i"]), ("SIGI", "Q", crystal["sigma"])],
        cell=CELL.parameters,
    )
    program = shutil.which("servalcat", path=str(Path(sys.executable).parent)) or "servalcat"
    subprocess.run(
        [program, "fw", "--hklin", hklin.name, "--labin", "I,SIGI", "-o", "fw"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    theirs = gemmi.read_mtz_file(str(tmp_path / "fw.mtz"))
    hkl = [tuple(h) for h in theirs.make_miller_array()]
    their_f = dict(zip(hkl, np.array(theirs.column_with_label("F").array), strict=True))
    their_sig = dict(zip(hkl, np.array(theirs.column_with_label("SIGF").array), strict=True))
    f, sigf = french_wilson(crystal["i"], crystal["sigma"], crystal["hkl"], CELL, GROUP)
    pairs = np.array(
        [
            (f[i], their_f[tuple(h)], sigf[i], their_sig[tuple(h)])
            for i, h in enumerate(crystal["hkl"])
            if tuple(h) in their_f
        ]
    )
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    assert len(pairs) > 0.95 * len(f)
    mine, other, mine_sig, other_sig = pairs.T
    assert np.corrcoef(mine, other)[0, 1] > 0.9995
    assert np.median(np.abs(mine / other - 1)) < 0.01
    assert np.median(np.abs(mine_sig / other_sig - 1)) < 0.02
