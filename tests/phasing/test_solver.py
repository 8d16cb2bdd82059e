"""The solver from amplitudes to phases at home in their space group."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable, UsageError
from crysformer.phasing import conclusion
from crysformer.phasing import problem as problem_module
from crysformer.phasing.method import METHODS
from crysformer.phasing.network.method import Network
from crysformer.phasing.random_starts.method import RaarSettings
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.solution import CandidateReport, Solution
from crysformer.phasing.solver import SOLVED, solve

LONG = 300.0  # never reached by what can be solved
VALINE_ALANINE, THREONINE_GLYCINE = 0, 2


@pytest.fixture(scope="module")
def gappy(dipeptide: Callable[..., Any]) -> Any:
    """A dipeptide of which some reflections were not measured, one in twenty."""
    return dipeptide(THREONINE_GLYCINE, completeness=0.95)


def solve_gappy(gappy: Any, seed: int = 1, **options: Any) -> Solution:
    return solve(
        gappy.data, gappy.sequence, method="charge-flipping", time_limit=LONG, seed=seed, **options
    )


@pytest.fixture(scope="module")
def solution(gappy: Any) -> Solution:
    return solve_gappy(gappy)


def test_a_dipeptide_is_solved_and_placed(gappy: Any, solution: Solution) -> None:
    assert solution.solved
    assert solution.confidence >= SOLVED
    assert solution.method == "charge-flipping"
    comparison = gappy.compare_phases(solution.phi)
    assert comparison.cosine2_aligned > SOLVED_COSINE
    assert comparison.mean_aligned < 15
    # the truth has its centre of mass at the cell centre, and its hand
    assert np.abs(comparison.shift * gappy.data.cell.parameters[:3]).max() < 0.3
    assert comparison.mean < 20
    assert not comparison.inverted
    assert 0.9 < solution.hand_probability <= 1
    assert "centre" in solution.origin


def test_columns_follow_the_measured_reflections(gappy: Any, solution: Solution) -> None:
    data = gappy.data
    n = len(data)
    assert solution.f.shape == solution.phi.shape == solution.fom.shape == (n,)
    missing = ~data.measured
    assert missing.any()
    np.testing.assert_array_equal(np.isnan(solution.phi), missing)
    assert (solution.fom[missing] == 0).all()
    assert (solution.f[missing] == 0).all()
    phi, fom = solution.phi[~missing], solution.fom[~missing]
    assert ((phi >= 0) & (phi <= 360)).all()
    assert ((fom >= 0) & (fom <= 1)).all()
    np.testing.assert_allclose(solution.f[~missing], fom * data.f[~missing])


def test_figure_of_merit_tells_good_phases(gappy: Any, solution: Solution) -> None:
    used = gappy.data.measured
    error = np.abs((solution.phi - gappy.phi_true + 180) % 360 - 180)[used]
    fom = solution.fom[used]
    order = np.argsort(fom)
    third = len(order) // 3
    assert error[order[-third:]].mean() < error[order[:third]].mean()
    # it is the expected cosine
    assert fom.mean() == pytest.approx(np.cos(np.deg2rad(error)).mean(), abs=0.15)


def test_map_is_that_of_the_weighted_amplitudes(gappy: Any, solution: Solution) -> None:
    density = solution.density
    assert density.space_group == gappy.data.space_group
    assert density.cell.parameters == gappy.data.cell.parameters
    assert (
        max(
            length / n for length, n in zip(density.cell.parameters[:3], density.shape, strict=True)
        )
        <= 1.51 / 3
    )
    grid = gemmi.FloatGrid(density.values, density.cell, density.space_group)
    back = gemmi.transform_map_to_f_phi(grid, half_l=True)
    expected = solution.f * np.exp(1j * np.deg2rad(np.nan_to_num(solution.phi)))
    found = np.array([back.get_value(*map(int, hkl)) for hkl in gappy.data.hkl])
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_candidates_are_reported_best_first(solution: Solution) -> None:
    assert solution.candidates
    best = solution.candidates[0]
    assert best.confidence == pytest.approx(solution.confidence)
    for candidate in solution.candidates:
        assert candidate.method in METHODS
        assert {"r", "free_correlation", "noise"} <= set(candidate.figures)
    assert max(c.confidence for c in solution.candidates) - best.confidence < 0.06


def test_summary_is_plain_json(solution: Solution) -> None:
    summary = json.loads(json.dumps(solution.to_summary(), allow_nan=False))
    assert summary["solved"] is True
    assert summary["confidence"] == pytest.approx(solution.confidence, abs=1e-4)
    assert summary["space_group"] == "P 1"
    assert summary["enantiomorph"] == {}
    assert summary["seconds"] > 0
    assert len(summary["candidates"]) == len(solution.candidates)
    assert summary["candidates"][0]["method"] == "charge-flipping"
    assert summary["settings"]["raar"]["iterations"] == SolveSettings().raar.iterations
    broken = replace(
        solution, candidates=(CandidateReport("charge-flipping", 0.0, {"r": float("nan")}),)
    )
    summary = json.loads(json.dumps(broken.to_summary(), allow_nan=False))
    assert summary["candidates"][0]["figures"]["r"] is None


def test_same_seed_same_solution(gappy: Any, solution: Solution) -> None:
    told: list[tuple[float, str]] = []
    same = solve_gappy(gappy, progress=lambda share, text: told.append((share, text)))
    np.testing.assert_array_equal(same.phi, solution.phi)
    np.testing.assert_array_equal(same.fom, solution.fom)
    assert same.confidence == solution.confidence
    assert [c.figures for c in same.candidates] == [c.figures for c in solution.candidates]
    assert told
    assert all(0 <= share <= 1 and text for share, text in told)
    assert "starts, best confidence" in told[-1][1]


def test_neither_scale_nor_seed_matter(gappy: Any, solution: Solution) -> None:
    data = replace(gappy.data, f=100 * gappy.data.f, sigf=100 * gappy.data.sigf)
    scaled = solve(data, gappy.sequence, method="charge-flipping", time_limit=LONG, seed=2)
    assert [c.figures for c in scaled.candidates] != [c.figures for c in solution.candidates]
    assert scaled.solved
    comparison = gappy.compare_phases(scaled.phi)
    assert comparison.cosine2_aligned > SOLVED_COSINE
    np.testing.assert_allclose(np.median(scaled.f / np.maximum(solution.f, 1e-9)), 100, rtol=0.1)


def test_any_hemisphere_may_be_listed(gappy: Any) -> None:
    turned = np.arange(len(gappy.data)) % 2 == 0
    hkl = np.where(turned[:, None], -gappy.data.hkl, gappy.data.hkl).astype(np.int32)
    other = replace(
        gappy,
        data=replace(gappy.data, hkl=hkl),
        phi_true=np.where(turned, -gappy.phi_true, gappy.phi_true),
    )
    found = solve_gappy(other)
    assert other.compare_phases(found.phi).cosine2_aligned > SOLVED_COSINE


def test_lists_beyond_what_was_measured(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE, d_min=1.0)
    far = crystal.data.d < 1.5
    data = replace(crystal.data, f=np.where(far, np.nan, crystal.data.f))
    found = solve(data, crystal.sequence, time_limit=LONG, method="charge-flipping")
    assert found.solved
    np.testing.assert_array_equal(np.isnan(found.phi), far)
    partly = replace(crystal, data=data)
    assert partly.compare_phases(found.phi).cosine2_aligned > SOLVED_COSINE


def in_group(
    make_crystal: Callable[..., Any], crystal: Any, group: str, cell: gemmi.UnitCell
) -> Any:
    """The same molecule in another crystal, where its atoms keep the most distance."""
    operations = list(gemmi.SpaceGroup(group).operations())
    orth = np.array(cell.orth.mat.tolist())
    xyz = crystal.frac @ np.array(crystal.data.cell.orth.mat.tolist()).T
    molecule = (xyz - xyz.mean(0)) @ np.linalg.inv(orth).T
    rng = np.random.default_rng(0)

    def contact(frac: np.ndarray) -> float:
        nearest = np.inf
        for op in operations[1:]:
            image = np.array([op.apply_to_xyz(x.tolist()) for x in frac])
            difference = image[None] - frac[:, None]
            difference -= np.round(difference)
            nearest = min(nearest, np.linalg.norm(difference @ orth.T, axis=-1).min())
        return nearest

    frac = max((molecule + rng.random(3) for _ in range(200)), key=contact)
    assert contact(frac) > 2.5
    return replace(
        make_crystal(cell, group, frac, crystal.number, d_min=1.3), sequence=crystal.sequence
    )


def test_a_screw_axis(dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]) -> None:
    cell = gemmi.UnitCell(8.5, 9.0, 9.5, 90, 104, 90)
    crystal = in_group(make_crystal, dipeptide(VALINE_ALANINE), "P 1 21 1", cell)
    found = solve(crystal.data, crystal.sequence, copies=1, time_limit=LONG)
    assert found.solved
    assert found.space_group.xhm() == found.density.space_group.xhm() == "P 1 21 1"
    assert list(found.enantiomorph) == ["P 1 21 1"]
    assert found.enantiomorph["P 1 21 1"] > 0.9
    assert found.method == "raar"
    comparison = crystal.compare_phases(found.phi)
    assert comparison.cosine2_aligned > 0.95
    assert comparison.mean_aligned < 15
    # its hand is right, and its origin on a screw axis: anywhere along y, else at a half
    assert not comparison.inverted
    assert found.hand_probability > 0.9
    off = (2 * comparison.shift[[0, 2]] + 0.5) % 1 - 0.5
    assert np.abs(off).max() < 0.05
    absent = crystal.data.space_group.operations().systematic_absences(crystal.data.hkl)
    assert (found.fom[absent] == 0).all()
    centric = crystal.data.space_group.operations().centric_flag_array(crystal.data.hkl) & ~absent
    assert centric.any()
    from_0_or_90 = found.phi[centric] % 90
    assert np.minimum(from_0_or_90, 90 - from_0_or_90).max() < 1e-6


def test_a_centre_of_symmetry(
    dipeptide: Callable[..., Any], make_crystal: Callable[..., Any]
) -> None:
    cell = gemmi.UnitCell(8.5, 9.0, 9.5, 81, 97, 104)
    crystal = in_group(make_crystal, dipeptide(VALINE_ALANINE), "P -1", cell)
    found = solve(crystal.data, crystal.sequence, copies=1, time_limit=LONG)
    assert found.solved
    used = np.isfinite(found.phi)
    assert used.all()
    assert set(np.round(found.phi % 360, 6)) == {0.0, 180.0}
    comparison = crystal.compare_phases(found.phi)
    assert comparison.cosine2_aligned > 0.95
    assert found.hand_probability == 1.0
    assert any("centrosymmetric" in note for note in found.notes)


def no_structure(group: str = "P 1") -> CrystalData:
    cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
    space_group = gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(cell, space_group, 1.5).astype(np.int32)
    fall_off = np.exp(-0.25 * 30 * cell.calculate_1_d2_array(hkl))
    f = 30 * fall_off * np.random.default_rng(7).rayleigh(size=len(hkl))
    return CrystalData(cell, space_group, hkl, f, 0.01 * f, source="noise.mtz")


@pytest.mark.parametrize("sequence", ["VA", None])
def test_amplitudes_of_no_structure_are_not_called_solved(sequence: str | None) -> None:
    found = solve(no_structure(), sequence, method="charge-flipping", time_limit=0.1)
    assert not found.solved
    assert found.confidence < 0.5
    assert found.to_summary()["solved"] is False
    # the best candidate is given all the same
    assert np.isfinite(found.phi).all()


def test_the_confidence_of_the_best_candidate_is_that_of_the_solution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where its agreement with the space group is known only after the search."""
    placing = conclusion.to_crystal_setting

    def contradicted(*args: Any) -> Any:
        return replace(placing(*args), symmetry=0.0)

    monkeypatch.setattr(conclusion, "to_crystal_setting", contradicted)
    found = solve(no_structure("P 1 21 1"), method="charge-flipping", time_limit=0.1)
    assert found.confidence == found.candidates[0].confidence == 0
    assert all(candidate.confidence > 0 for candidate in found.candidates[1:])


def test_why_the_network_was_left_out_is_said() -> None:
    found = solve(no_structure("P 1 21 1"), "A", copies=1, time_limit=0.1)
    assert not found.solved
    assert any(
        note.startswith("network: not applicable") and "P 1 21 1" in note for note in found.notes
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"method": "magic"},
            UsageError,
            "`method` is 'magic': expected one of auto, charge-flipping",
        ),
        ({"time_limit": 0.0}, UsageError, "`time_limit` is 0"),
        ({"time_limit": float("nan")}, UsageError, "`time_limit` is nan"),
        ({"copies": 2}, UsageError, "`copies` needs `sequence`"),
        ({"sequence": "VA?"}, UsageError, "unknown letter"),
        ({"sequence": "W" * 30}, InputError, "asymmetric unit"),
        ({"device": "warp"}, UsageError, "warp"),
        ({"seed": -1}, UsageError, "`seed` is -1"),
        (
            {"settings": SolveSettings(raar=RaarSettings(iterations=0))},
            UsageError,
            "iterations is 0, expected at least 1",
        ),
        ({"method": "network"}, NotApplicable, "sequence"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        solve(no_structure(), **options)
    assert "\n" not in str(caught.value)


def test_no_network_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*rest: Any, **options: Any) -> None:
        raise AssertionError("the network was asked after the deadline")

    monkeypatch.setattr(Network, "advance", too_late)
    found = solve(no_structure(), "VA", copies=1, time_limit=0.1)
    assert "network: not applicable (too little time was left)" in found.notes


def test_the_network_refuses_other_groups() -> None:
    with pytest.raises(NotApplicable, match="P 1 21 1"):
        solve(no_structure("P 1 21 1"), "A", copies=1, method="network")


def test_too_few_amplitudes() -> None:
    data = no_structure()
    few = replace(data, f=np.where(np.arange(len(data)) < 29, data.f, np.nan))
    with pytest.raises(InputError, match=r"noise\.mtz: 29 amplitudes, too few"):
        solve(few)


def test_sequences_may_be_given_in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, ...]] = []
    formulae: list[dict[str, int] | None] = []

    def spy(
        data: CrystalData,
        sequences: tuple[str, ...],
        copies: int | None,
        formula: dict[str, int] | None,
    ) -> None:
        given.append(sequences)
        formulae.append(formula)
        raise InputError("seen")

    monkeypatch.setattr(problem_module, "cell_content", spy)
    fasta = tmp_path / "chains.fasta"
    fasta.write_text(">A\nTG\n>B\nVA\n")
    for form in (str(fasta), "tg,va", ["TG", "VA"], ("TG,VA",), None):
        with pytest.raises(InputError, match="seen"):
            solve(no_structure(), form)
    assert given == [("TG", "VA")] * 4 + [()]
    for composition in ("C6H12N2O4", {"C": 6, "H": 12, "N": 2, "O": 4}, None):
        with pytest.raises(InputError, match="seen"):
            solve(no_structure(), composition=composition)
    assert formulae[5:] == [{"C": 6, "H": 12, "N": 2, "O": 4}] * 2 + [None]
