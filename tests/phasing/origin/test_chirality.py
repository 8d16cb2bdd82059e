"""L against D: real peptides, their mirror images, and what carries no evidence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from crysformer.phasing.origin.chirality import HandEvidence, _Neighbours, chirality

SAMPLE = Path(__file__).parents[2] / "samples" / "4ZTK_15mer.pdb"
# sequences of the fragments: VA GK TG TV IE NN DK, KD FL PL YF GW FL TK
DIPEPTIDES = range(14)
LYS_ASP, PRO_LEU, GLY_TRP = 7, 9, 11


@pytest.fixture(scope="module")
def peptides(dipeptide: Callable[..., Any]) -> list[Any]:
    return [dipeptide(index) for index in DIPEPTIDES]


def orthogonalisation(crystal: Any) -> np.ndarray:
    return np.array(crystal.data.cell.orth.mat.tolist())


def evidence(crystal: Any, mirrored: bool = False) -> HandEvidence:
    frac = -crystal.frac if mirrored else crystal.frac
    return chirality(frac, crystal.number.astype(float), orthogonalisation(crystal))


@pytest.mark.parametrize("index", DIPEPTIDES)
def test_dipeptides_are_l(dipeptide: Callable[..., Any], index: int) -> None:
    crystal = dipeptide(index)
    found = evidence(crystal)
    expected = sum(letter != "G" for letter in crystal.sequence)
    assert found.centres == expected
    assert found.log_odds > 4 * expected
    assert found.probability > 0.98


@pytest.mark.parametrize("index", DIPEPTIDES)
def test_the_mirror_image_has_the_opposite_evidence(
    dipeptide: Callable[..., Any], index: int
) -> None:
    found, mirrored = (evidence(dipeptide(index), mirror) for mirror in (False, True))
    assert mirrored.log_odds == pytest.approx(-found.log_odds)
    assert mirrored.centres == found.centres
    assert mirrored.probability == pytest.approx(1 - found.probability)


def test_proline_counts(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(PRO_LEU)
    assert crystal.sequence == "PL"
    assert evidence(crystal).centres == 2


def test_fifteen_residues_have_a_certain_hand(fifteen: Callable[..., Any]) -> None:
    for index in range(2):
        crystal = fifteen(index)
        found = evidence(crystal)
        chiral = sum(letter != "G" for letter in crystal.sequence)
        assert found.centres == pytest.approx(chiral, abs=1)
        assert found.log_odds > 4 * chiral


def test_glycine_tells_nothing() -> None:
    structure = gemmi.read_structure(str(SAMPLE))
    backbone = [site.atom for site in structure[0].all() if site.atom.name in ("N", "CA", "C", "O")]
    cell = structure.cell
    frac = np.array([cell.fractionalize(atom.pos).tolist() for atom in backbone])
    number = np.array([atom.element.atomic_number for atom in backbone], dtype=float)
    orth = np.array(cell.orth.mat.tolist())
    found = chirality(frac, number, orth)
    assert found == HandEvidence(0.0, 0)
    assert found.probability == 0.5


def test_random_atoms_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    found = [chirality(rng.random((20, 3)), np.full(20, 7.0), 9 * np.eye(3)) for _ in range(10)]
    assert max(abs(one.log_odds) for one in found) < 2
    lonely = chirality(np.zeros((1, 3)), np.ones(1), 9 * np.eye(3))
    assert lonely == HandEvidence(0.0, 0)


def noisy_evidence(crystal: Any, error: float, rng: np.random.Generator) -> HandEvidence:
    """With coordinates off so far that distances are off by `error`, A."""
    orth = orthogonalisation(crystal)
    shift = error / np.sqrt(2) * rng.standard_normal(crystal.frac.shape)
    return chirality(
        crystal.frac + shift @ np.linalg.inv(orth).T,
        crystal.number * rng.normal(1, 0.1, len(crystal.number)),
        orth,
        error,
    )


def test_evidence_fades_with_noise_and_is_not_overstated(dipeptide: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    crystals = [dipeptide(index) for index in DIPEPTIDES]
    mean = []
    for error in (0.03, 0.06, 0.1, 0.15, 0.25):
        found = [noisy_evidence(crystal, error, rng) for crystal in crystals for _ in range(5)]
        mean.append(np.mean([one.log_odds for one in found]))
        # -log of the probability given to the truth: 0.69 for saying nothing
        surprise = np.mean([-np.log(one.probability) for one in found])
        assert surprise < 0.75
        assert np.mean([one.log_odds < -2 for one in found]) < 0.06
    assert mean == sorted(mean, reverse=True)
    assert mean[0] > 5
    assert abs(mean[-1]) < 0.5


def test_threonine_is_judged_by_its_alpha_carbon(dipeptide: Callable[..., Any]) -> None:
    """Its beta carbon is as chiral, and O, C and C around it look much like N, C and CB."""
    rng = np.random.default_rng(1)
    crystals = [c for c in map(dipeptide, DIPEPTIDES) if "T" in c.sequence]
    assert len(crystals) >= 3
    found = [noisy_evidence(crystal, 0.07, rng) for crystal in crystals for _ in range(20)]
    assert np.mean([one.log_odds for one in found]) > 1.5
    assert np.mean([one.log_odds < -2 for one in found]) < 0.08


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), index=st.sampled_from([0, LYS_ASP, GLY_TRP]))
def test_evidence_depends_on_nothing_but_the_structure(
    peptides: list[Any], seed: int, index: int
) -> None:
    crystal = peptides[index]
    rng = np.random.default_rng(seed)
    orth = orthogonalisation(crystal)
    order = rng.permutation(len(crystal.frac))
    moved = crystal.frac + rng.random(3) + rng.integers(-2, 3, crystal.frac.shape)
    turned = Rotation.random(random_state=seed).as_matrix() @ orth
    occupancy = rng.uniform(0.1, 10) * crystal.number
    found = chirality(moved[order], occupancy[order], turned)
    expected = evidence(crystal)
    assert found.log_odds == pytest.approx(expected.log_odds, rel=1e-6)
    assert found.centres == expected.centres


def test_a_dipeptide_in_an_oblique_cell(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    xyz = crystal.frac @ orthogonalisation(crystal).T
    cell = gemmi.UnitCell(17, 19, 21, 65, 115, 70)
    orth = np.array(cell.orth.mat.tolist())
    frac = np.mod(xyz @ np.linalg.inv(orth).T + 0.9, 1.0)  # torn apart by the cell's faces
    found = chirality(frac, crystal.number.astype(float), orth)
    assert found.log_odds == pytest.approx(evidence(crystal).log_odds, rel=1e-4)


def test_weak_peaks_are_ignored(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    rng = np.random.default_rng(2)
    ghosts = rng.random((8, 3))
    frac = np.concatenate([crystal.frac, ghosts])
    occupancy = np.concatenate([crystal.number, np.full(8, 1.0)])
    assert chirality(frac, occupancy, orthogonalisation(crystal)) == evidence(crystal)


def test_probability_at_the_extremes() -> None:
    assert HandEvidence(0.0, 0).probability == 0.5
    assert HandEvidence(np.log(3), 1).probability == pytest.approx(0.75)
    assert HandEvidence(1e4, 2000).probability == 1.0
    assert HandEvidence(-1e4, 2000).probability == 0.0


def test_a_clump_of_wrong_atoms_is_no_evidence_and_takes_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of 60 atoms within bonding distance of many others, in whatever roles."""
    calls = []
    core = _Neighbours._core

    def counted(self: _Neighbours, *atoms: int) -> float:
        calls.append(atoms)
        return core(self, *atoms)

    monkeypatch.setattr(_Neighbours, "_core", counted)
    rng = np.random.default_rng(0)
    frac = 0.5 + 0.04 * rng.uniform(-1, 1, (60, 3))
    found = chirality(frac, np.ones(60), 30 * np.eye(3))
    assert found.log_odds == 0
    assert len(calls) < 10_000
