"""Verdict on the sequence of a built model, and what is left of a refuted one."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.building import sequence_check
from crysformer.building.build import build
from crysformer.building.built_model import BuiltModel
from crysformer.building.map_coefficients import map_coefficients
from crysformer.building.r_factors import r_factors
from crysformer.building.scaling import scale_model
from crysformer.building.sequence_check import checked, peptide_model, standard_chains
from crysformer.building.start import Start
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.peptide.model import TO_CB
from crysformer.phasing.sequence_support.verdict import ResidueSupport, SequenceSupport
from crysformer.testing import sample

SAMPLE = sample("wk")


@pytest.fixture
def truth() -> gemmi.Structure:
    structure = gemmi.read_structure(str(SAMPLE.model_path))
    structure.setup_entities()
    return structure


def built(structure: gemmi.Structure) -> BuiltModel:
    data = read_crystal(SAMPLE.data_path)
    free = free_set(data)
    scaled = scale_model(structure, data, free)
    F = scaled.F_model
    return BuiltModel(
        data=data, free=free, scaled=scaled, coefficients=map_coefficients(data, free, F),
        r=r_factors(data, free, F), k_fold=None, program="none", cycles=0, origin="the truth",
        anisotropic=False, hydrogens=False, notes=(), log="", seconds=0.0, failure="", figures={},
    )  # fmt: skip


def test_the_right_sequence_keeps_its_side_chains(truth: gemmi.Structure) -> None:
    model = built(truth)
    same, support = checked(model)
    assert same is model
    assert support.supported
    assert str(support).startswith("supported by the amplitudes")


def test_refuted_side_chains_are_left_out(
    truth: gemmi.Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuted = SequenceSupport(
        supported=False, probability=0.01, residues=(ResidueSupport("A", 2, 1, "K", "M", 40.0),)
    )
    monkeypatch.setattr(sequence_check, "sequence_support", lambda *_: refuted)
    model = built(truth)
    less, support = checked(model)
    assert support is refuted
    names = [[atom.name for atom in residue] for residue in less.structure[0][0]]
    assert names[1] == ["N", "CA", "C", "O", "CB"]
    assert names[0] == [atom.name for atom in model.structure[0][0][0]]
    assert len(list(model.structure[0][0][1])) == 9
    assert "side chains that do not fit: K2; they are left out" in less.notes[-1]
    # the figures are those of what is written
    used = less.data.measured & ~less.free.free
    f, calculated = less.data.f[used], np.abs(less.scaled.F_model[used])
    assert less.r.r_work == pytest.approx(np.abs(f - calculated).sum() / f.sum(), rel=1e-6)
    assert less.r.r_work > model.r.r_work + 0.1


def test_waters_at_refuted_side_chains_are_left_out(
    truth: gemmi.Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = truth[0][0][0], truth[0][0][1]
    nz, ce = (np.array(second.sole_atom(name).pos.tolist()) for name in ("NZ", "CE"))
    n, ca = (np.array(first.sole_atom(name).pos.tolist()) for name in ("N", "CA"))
    # beyond NZ of K2 and N of W1, so near that nothing else in this full cell is nearer
    beyond = [nz + 0.5 * (nz - ce), n + 0.5 * (n - ca)]
    chain = gemmi.Chain("W")
    for number, place in enumerate(beyond, start=1):
        water, atom = gemmi.Residue(), gemmi.Atom()
        water.name, water.seqid = "HOH", gemmi.SeqId(number, " ")
        water.entity_type = gemmi.EntityType.Water
        atom.name, atom.element, atom.b_iso = "O", gemmi.Element("O"), 20.0
        place[0] += truth.cell.a  # beside an image of the residue
        atom.pos = gemmi.Position(*place)
        water.add_atom(atom)
        chain.add_residue(water)
    truth[0].add_chain(chain)
    refuted = SequenceSupport(
        supported=False, probability=0.01, residues=(ResidueSupport("A", 2, 1, "K", "M", 40.0),)
    )
    monkeypatch.setattr(sequence_check, "sequence_support", lambda *_: refuted)
    less, _ = checked(built(truth))
    waters = [str(r.seqid) for c in less.structure[0] for r in c if r.is_water()]
    assert waters == ["2"]


@pytest.mark.slow
def test_a_wrong_sequence_in_the_right_density_is_refuted(truth: gemmi.Structure) -> None:
    right = built(truth)
    model = build(right.data, "WM", Start(F=right.scaled.F_model), time_limit=60)
    less, support = checked(model)
    assert support.supported is False
    assert [(r.number, r.given) for r in support.better] == [(2, "M")]
    assert {atom.name for atom in less.structure[0][0][1]} <= set(TO_CB)


def test_a_missing_end_oxygen_is_put_into_the_plane(truth: gemmi.Structure) -> None:
    model = built(truth)
    chains = standard_chains(model.structure)
    assert chains is not None
    last = model.structure[0][0][1]
    assert last.find_atom("OXT", "*") is None
    found = peptide_model(model, chains)
    rows = np.flatnonzero(found.peptides.residue == 1).tolist()
    at = {found.peptides.names[i]: found.xyz[i] for i in rows}
    for one, other, length in (("C", "OXT", 1.25), ("O", "OXT", 2.2), ("CA", "OXT", 2.4)):
        assert np.linalg.norm(at[one] - at[other]) == pytest.approx(length, abs=0.15)
    normal = np.cross(at["CA"] - at["C"], at["O"] - at["C"])
    assert abs(normal @ (at["OXT"] - at["C"])) < 1e-6
    assert np.isfinite(found.F[model.data.measured]).all()


def test_models_that_are_not_compared(truth: gemmi.Structure) -> None:
    model = built(truth)
    model.structure[0][0][1].remove_atom("CG", "*")
    same, support = checked(model)
    assert same is model
    assert support.probability is None
    assert "gaps" in support.note
    other = truth.clone()
    other[0][0][0].name = "DTR"
    assert standard_chains(other) is None
