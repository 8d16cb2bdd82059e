"""From a start to a refined model, with our own refinement and with failing programs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building import build_run as building
from crysformer.building.build import build
from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.refinement import choice
from crysformer.building.settings import BuildSettings
from crysformer.building.shaking import shaken
from crysformer.building.start import Start
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.building.deviations import deviations
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.testing import sample

SAMPLE = sample("5e5z")
QUICK = BuildSettings(cycles=5, short_cycles=3, rebuilds=1, folds=0)


@pytest.fixture(autouse=True)
def _without_servalcat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_servalcat", lambda: None)
    monkeypatch.delenv("CLIBD_MON", raising=False)


@pytest.fixture(scope="module")
def data() -> CrystalData:
    return read_crystal(SAMPLE.data_path)


@pytest.fixture(scope="module")
def model() -> gemmi.Structure:
    return gemmi.read_structure(str(SAMPLE.model_path))


def test_a_measured_peptide(data: CrystalData, model: gemmi.Structure) -> None:
    steps: list[str] = []
    start = shaken(model, 0.2, seed=0)
    built = build(
        data, SAMPLE.sequence, Start(start), QUICK, progress=lambda _, what: steps.append(what)
    )
    assert built.r.r_work < 0.22
    assert built.r.n_free == 18
    assert abs(built.scaled.mean_b - 4.6) < 5
    assert built.program == "crysformer"
    assert (built.failure, built.k_fold, built.hydrogens, built.anisotropic) == (
        "",
        None,
        False,
        False,
    )
    assert any("servalcat is not installed" in note for note in built.notes)
    assert any("the free reflections is not known: it was displaced" in x for x in built.notes)
    assert (built.origin, built.ab_initio) == ("the model that was given", False)
    assert steps[0] == "starting model"
    summary = json.loads(json.dumps(built.to_summary()))
    assert summary["r_work"] == pytest.approx(built.r.r_work, abs=1e-4)
    assert {"r_free", "n_free", "program", "cycles", "mean_b", "notes"} <= set(summary)
    assert summary["n_residues"] == 6
    backbone = [
        built.structure[0]["A"][i]
        .find_atom("CA", "*")
        .pos.dist(model[0]["A"][i].find_atom("CA", "*").pos)
        for i in range(6)
    ]
    assert np.mean(backbone) < 0.2


def test_phases_of_the_other_hand() -> None:
    one = sample("yf")
    data = read_crystal(one.data_path)
    truth = gemmi.read_structure(str(one.model_path))
    truth.cell, truth.spacegroup_hm = data.cell, data.space_group.xhm()
    F = atomic_structure_factors(truth, data)
    built = build(data, one.sequence, Start(F=F.conj()), QUICK)
    assert deviations(built.structure, truth)[1] < 0.1
    assert built.r.r_work < 0.05
    assert built.origin == "2 residues traced in the inverse of the map"
    assert "of the other hand than the map that was given" in built.notes[0]


def test_k_fold_r_free_leaves_each_reflection_out_once(
    data: CrystalData, model: gemmi.Structure
) -> None:
    settings = replace(QUICK, folds=3, rebuilds=0, waters=replace(QUICK.waters, rounds=0))
    built = build(data, SAMPLE.sequence, Start(model), settings)
    assert built.k_fold is not None
    assert built.k_fold.n_free == int(data.measured.sum())
    assert built.reported is built.k_fold
    assert built.k_fold.r_free > built.k_fold.r_work
    none = build(data, SAMPLE.sequence, Start(model), settings, k_fold_limit=0.0)
    assert none.k_fold is None
    (note,) = (note for note in none.notes if "the 3-fold one" in note)
    assert "is left out after a search, where it may take 0 s" in note


def test_free_reflections_do_not_enter_the_model(data: CrystalData, model: gemmi.Structure) -> None:
    first = build(data, SAMPLE.sequence, Start(model), QUICK)
    other = replace(data, f=np.where(first.free.free, 2 * data.f, data.f))
    second = build(other, SAMPLE.sequence, Start(model), QUICK)
    one, two = (
        np.array([s.atom.pos.tolist() for s in b.structure[0].all()]) for b in (first, second)
    )
    np.testing.assert_allclose(one, two, atol=1e-4)
    assert second.r.r_free > first.r.r_free + 0.2


def atoms_of(structure: gemmi.Structure, data: CrystalData) -> AtomicStructure:
    sites = [s.atom for s in structure[0].all()]
    order = np.random.default_rng(0).permutation(len(sites))
    frac = np.array([data.cell.fractionalize(a.pos).tolist() for a in sites])[order]
    number = np.array([a.element.atomic_number for a in sites])[order]
    n = len(sites)
    return AtomicStructure(
        frac - np.floor(frac), number, np.full(n, 10.0), np.ones(n), np.zeros(len(data), complex),
        0.1, data.cell, data.space_group,
    )  # fmt: skip


def test_atoms_of_a_solution_become_the_model() -> None:
    true = gemmi.read_structure(str(sample("fifteen").model_path))
    group = gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(true.cell, group, 1.2)[::8].astype(np.int32)
    data = CrystalData(true.cell, group, hkl, np.ones(len(hkl)))
    F = atomic_structure_factors(in_crystal(true, data), data)
    data = replace(data, f=np.abs(F), sigf=0.01 * np.abs(F) + 0.1)
    settings = replace(QUICK, cycles=2, rebuilds=0, waters=replace(QUICK.waters, rounds=0))
    built = build(
        data, sample("fifteen").sequence, Start(atoms=atoms_of(true, data)), settings, copies=1
    )
    assert "15 residues matched" in built.origin
    assert built.r.r_work < 0.15


def test_a_start_that_cannot_be_used_is_one_line(
    data: CrystalData, model: gemmi.Structure, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="needs the sequence, or a model; pass `sequence`"):
        build(data)
    with pytest.raises(InputError, match=r"neither a model, nor atoms .* nor a map"):
        build(data, SAMPLE.sequence)
    with pytest.raises(InputError, match="cell"):
        build(data, 30 * SAMPLE.sequence, Start(F=np.ones(len(data), complex)))
    odd = model.clone()
    odd[0]["A"][2].name = "XYZ"
    with pytest.raises(InputError, match=r"residue XYZ: no monomer dictionary .*`dictionary`"):
        build(data, SAMPLE.sequence, Start(odd))


def test_a_program_that_fails_at_once_is_replaced(
    data: CrystalData, model: gemmi.Structure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, library = tmp_path / "servalcat", tmp_path / "monomers"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('Error: it is broken')\n")
    program.chmod(0o755)
    for name in ("ener_lib.cif", "list/mon_lib_list.cif", "a/ASN.cif", "h/HIS.cif", "h/HOH.cif",
                 "l/LEU.cif", "s/SER.cif", "v/VAL.cif"):  # fmt: skip
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("data_\n")
    monkeypatch.setattr(choice, "find_servalcat", lambda: program)
    monkeypatch.setenv("CLIBD_MON", str(library))
    built = build(data, SAMPLE.sequence, Start(model), QUICK)
    assert built.program == "crysformer"
    assert built.failure == "servalcat failed: exit status 1: Error: it is broken"
    assert "it is broken" in built.log
    assert built.r.r_work < 0.25
    (library / "h" / "HIS.cif").unlink()
    built = build(data, SAMPLE.sequence, Start(model), QUICK)
    assert built.failure == ""
    assert any(note.startswith("residue HIS: $CLIBD_MON has no") for note in built.notes)


def test_a_later_failure_keeps_the_model_before_it(
    data: CrystalData, model: gemmi.Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    refine = building.OwnRefinement.refine

    def once(self: building.OwnRefinement, *args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) > 1:
            raise building.RefinementFailed("it broke", "last words")
        return refine(self, *args, **options)

    monkeypatch.setattr(building.OwnRefinement, "refine", once)
    dry = model.clone()
    dry.remove_waters()
    monkeypatch.setattr(building, "with_new_waters", lambda s, *a: (s, 1))
    built = build(data, SAMPLE.sequence, Start(dry), QUICK)
    assert built.failure == "it broke"
    assert built.log.endswith("last words")
    assert built.r.r_work < 0.3


@pytest.mark.parametrize("sequence", ["GNNQQNY", "WWWWWWWWWWWWWWWWWWWWWW", "STVIIE"])
def test_a_sequence_that_is_not_the_models(
    sequence: str, data: CrystalData, model: gemmi.Structure
) -> None:
    with pytest.raises(InputError, match=f"is LVHSSN, which is no part of the sequence {sequence}"):
        build(data, sequence, Start(model), QUICK)


@pytest.mark.parametrize("limit", [0.0, -5.0, float("nan")])
def test_time_limits_that_are_none(limit: float, data: CrystalData, model: gemmi.Structure) -> None:
    with pytest.raises(UsageError, match="expected seconds above zero"):
        build(data, SAMPLE.sequence, Start(model), QUICK, time_limit=limit)
