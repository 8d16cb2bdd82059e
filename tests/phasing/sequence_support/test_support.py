"""Right and wrong sequences of a model with right phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.quality.outliers import wilson_outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.conclusion import SOLVED, conclude
from crysformer.phasing.merit.figures import SequenceFigures
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.refinement.restrained import refine_restrained
from crysformer.phasing.search import Search
from crysformer.phasing.sequence_search.random_poses import random_torsions
from crysformer.phasing.sequence_support.exchanges import SideChainExchange
from crysformer.phasing.sequence_support.side_chains import TYPES, side_chain
from crysformer.phasing.sequence_support.support import SupportSettings, sequence_support
from crysformer.phasing.sequence_support.verdict import (
    ResidueSupport,
    SequenceSupport,
    SupportFigures,
    support,
)
from crysformer.phasing.settings import SolveSettings

TRUE = "LKTF"
CELL = gemmi.UnitCell(14, 15, 17, 90, 98, 90)
Made = Callable[[str, CrystalData], PeptideModel]


@pytest.fixture(scope="module")
def crystal(model_data: Callable[..., CrystalData]) -> CrystalData:
    kinematics, pose = posed(TRUE)
    data = model_data(kinematics.coordinates(pose)[0][0], kinematics.peptides.number, CELL, 1.8)
    rng = np.random.default_rng(0)
    return replace(data, f=data.f * (1 + 0.05 * rng.standard_normal(len(data))))


def posed(sequence: str) -> tuple[Kinematics, Pose]:
    """Chains of a sequence on one backbone, each side chain in a likely rotamer."""
    kinematics = Kinematics(build_peptides([sequence]))
    peptides = kinematics.peptides
    drawn = random_torsions(peptides, 1, torch.Generator().manual_seed(3))
    angle = {"phi": -1.2, "psi": 2.4, "omega": np.pi}
    for i, torsion in enumerate(peptides.torsions):
        drawn[0, i] = angle.get(torsion.kind, drawn[0, i])
    return kinematics, Pose(drawn, torch.eye(3)[None, None], torch.full((1, 1, 3), 3.0))


def model_of(sequence: str, data: CrystalData) -> PeptideModel:
    """A refined model of a sequence on the right backbone."""
    kinematics, pose = posed(sequence)
    refined = refine_restrained(data, kinematics, kinematics.coordinates(pose)[0], 15.0)
    xyz, b_iso = (x[0].double().numpy() for x in (refined.xyz, refined.b_iso))
    return PeptideModel(kinematics.peptides, xyz, b_iso, data.cell, data.space_group, refined.F[0])


def test_the_right_sequence_is_likelier_than_others(crystal: CrystalData) -> None:
    found = sequence_support(crystal, model_of(TRUE, crystal), 15.0)
    assert [r.given for r in found.residues] == list(TRUE)
    assert all(r.gain < 0 for r in found.residues)
    assert found.probability is not None
    assert found.probability > 0.5
    assert found.supported is not False
    assert not found.contradicted
    assert not found.to_summary()["better"]


@pytest.mark.parametrize(("given", "row"), [("LKTA", 3), ("FKTF", 0), ("LSTF", 1)])
def test_a_wrong_residue_is_found(crystal: CrystalData, given: str, row: int) -> None:
    model = model_of(given, crystal)
    found = sequence_support(crystal, model, 15.0)
    assert found.supported is False
    assert found.contradicted == {row}
    better = found.to_summary()["better"]
    assert [(b["chain"], b["residue"], b["given"]) for b in better] == [("A", row + 1, given[row])]
    assert str(found).endswith(f"side chains that do not fit: {given[row]}{row + 1}")
    written = replace(model, truncated=found.contradicted).to_structure()[0][0]
    atoms = {atom.name for atom in written[row]}
    assert atoms <= {"N", "CA", "C", "O", "OXT", "CB"}
    assert len(written[1 - row if row < 2 else 0]) > 5  # the others are complete


def test_a_refuted_sequence_is_not_written_as_if_it_were_right(crystal: CrystalData) -> None:
    model = model_of("LKTA", crystal)
    problem = phasing_problem(crystal, ("LKTA",), 1)
    phased = problem.expand(np.nan_to_num(model.F))
    certain = SequenceFigures(0.05, 0.95, 0.0, 1.0, 9.0, 20.0, 0.02)
    F = problem.grid.with_amplitudes(phased[None])[0]
    found = Candidate("sequence", F, phased, certain, 0.0, peptide=model)
    search = Search(problem, "auto", SolveSettings(), 600.0)
    search.adopt([found])
    end = conclude(crystal, wilson_outliers(crystal), search, found, seed=0)
    assert end.candidate.confidence >= SOLVED
    assert end.sequence.supported is False
    assert end.placed.model is not None
    assert end.placed.model.truncated == {3}
    np.testing.assert_array_equal(np.nan_to_num(end.placed.model.F), np.nan_to_num(model.F))
    late = Search(problem, "auto", SolveSettings(), 0.001)
    end = conclude(crystal, wilson_outliers(crystal), late, found, seed=0, hurry=True)
    assert end.sequence.supported is not True
    unsure = replace(found, figures=replace(certain, r=0.4, log_likelihood_gain=0.0))
    end = conclude(crystal, wilson_outliers(crystal), search, unsure, seed=0)
    assert "not claimed" in end.sequence.note
    assert not end.placed.model.truncated


def test_without_time_there_is_no_verdict(crystal: CrystalData) -> None:
    found = sequence_support(crystal, model_of("LKTA", crystal), 15.0, deadline=0.0)
    assert found.supported is None
    assert found.probability is None
    assert "time" in str(found)


def test_a_part_of_the_reflections_gives_the_same_order(crystal: CrystalData) -> None:
    model = model_of(TRUE, crystal)
    settings = SupportSettings().exchanges
    all_of_them = SideChainExchange(crystal, model)
    assert all_of_them.n_reflections == int(crystal.measured.sum())
    few = SideChainExchange(crystal, model, replace(settings, reflections=100))
    assert few.n_reflections <= all_of_them.n_reflections
    assert few.fits(3)[0].letter == "F"
    assert few.fits(3)[0].log_likelihood > max(f.log_likelihood for f in few.fits(3)[1:])


def test_nothing_is_said_of_proline_and_glycine_is_exchanged(crystal: CrystalData) -> None:
    exchange = SideChainExchange(crystal, model_of("LGPF", crystal))
    assert exchange.fits(2) == []
    assert exchange.fits(1)[0].letter == "G"
    assert len(exchange.fits(1)[0].xyz) == 0


@pytest.mark.parametrize("letter", TYPES)
def test_side_chains_keep_their_geometry_in_every_rotamer(letter: str) -> None:
    chain = side_chain(letter)
    backbone = np.array([[-0.6, 1.3, 0.0], [0.0, 0.0, 0.0], [1.52, 0.0, 0.0]])
    for xyz in chain.on(backbone):
        atoms = np.concatenate((xyz, backbone))
        distance = np.linalg.norm(atoms[chain.first] - atoms[chain.second], axis=1)
        own = (chain.first < len(xyz)) & (chain.second < len(xyz))
        np.testing.assert_allclose(distance[own], chain.distance[own], atol=1e-3)
    if letter != "G":
        mirrored = side_chain(letter, mirrored=True)
        # CB of a D residue is on the other side of the plane of N, CA and C
        assert chain.conformations[0, 0, 2] * mirrored.conformations[0, 0, 2] < 0


def test_the_verdict_falls_with_the_gain_of_another_sequence() -> None:
    residue = ResidueSupport("A", 1, 0, "V", "F", 20.0)
    gains = (0.0, 3.0, 20.0, 90.0)
    found = [support((residue,), SupportFigures(gain, -9.0, 0.15)) for gain in gains]
    p = [one.probability for one in found]
    assert p == sorted(p, reverse=True)  # type: ignore[type-var]
    margins = [support((), SupportFigures(0.0, x, 0.15)).probability for x in (-50.0, 0.0, 30.0)]
    assert margins == sorted(margins)  # type: ignore[type-var]
    refuted = found[-1]
    assert refuted.supported is False
    assert "refuted" in str(refuted)
    assert SequenceSupport(note="no sequence was given").to_summary()["supported"] is None
