"""Starts from files: phases of the same crystal only, and one line for what is damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.start_from_files import (
    read_model,
    read_solved_folder,
    start_from_map,
    start_from_model,
)
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.write import write_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.testing import sample

SAMPLE = sample("5e5z")


@pytest.fixture(scope="module")
def data() -> CrystalData:
    return read_crystal(SAMPLE.data_path)


@pytest.fixture(scope="module")
def model_factors(data: CrystalData) -> np.ndarray:
    structure = gemmi.read_structure(str(SAMPLE.model_path))
    return atomic_structure_factors(in_crystal(structure, data), data)


def phases_file(path: Path, data: CrystalData, model_factors: np.ndarray) -> Path:
    write_phases(
        path,
        data,
        np.abs(model_factors),
        np.degrees(np.angle(model_factors)),
        np.ones(len(model_factors)),
    )
    return path


def test_coefficients_come_to_the_rows_of_the_data(
    data: CrystalData, model_factors: np.ndarray, tmp_path: Path
) -> None:
    """Also where the file lists other asymmetric units, in another order."""
    ops = data.space_group.operations()
    moved, phases = data.hkl.copy(), np.degrees(np.angle(model_factors))
    for i, hkl in enumerate(data.hkl.tolist()):
        op = list(ops)[i % len(ops)]
        moved[i] = op.apply_to_hkl(hkl)
        phases[i] += np.degrees(op.phase_shift(hkl))
    order = np.random.default_rng(0).permutation(len(model_factors))
    other = CrystalData(data.cell, data.space_group, moved[order], data.f[order])
    path = tmp_path / "phases.mtz"
    write_phases(
        path, other, np.abs(model_factors)[order], phases[order], np.ones(len(model_factors))
    )
    start = start_from_map(data, path, "FWT,PHWT")
    assert start.F is not None
    np.testing.assert_allclose(start.F, model_factors, rtol=1e-3, atol=0.05)


def test_another_crystal_is_refused(
    data: CrystalData, model_factors: np.ndarray, tmp_path: Path
) -> None:
    longer = gemmi.UnitCell(1.05 * data.cell.a, *data.cell.parameters[1:])
    path = phases_file(tmp_path / "cell.mtz", replace(data, cell=longer), model_factors)
    with pytest.raises(InputError, match=r"cell\.mtz: cell 10\.\d+ .*expected that of .*9\.64"):
        start_from_map(data, path, "FWT,PHWT")
    path = phases_file(
        tmp_path / "group.mtz", replace(data, space_group=gemmi.SpaceGroup("P 1")), model_factors
    )
    with pytest.raises(InputError, match="space group P 1, expected P 1 21 1"):
        start_from_map(data, path, "FWT,PHWT")
    few = np.where(np.arange(len(model_factors)) < 10, model_factors, np.nan)
    path = phases_file(tmp_path / "few.mtz", data, few)
    with pytest.raises(InputError, match=r"phases for \d+ of the 403"):
        start_from_map(data, path, "FWT,PHWT")


def test_models(data: CrystalData, tmp_path: Path) -> None:
    assert start_from_model(data, SAMPLE.model_path).structure is not None
    other = replace(data, cell=gemmi.UnitCell(50, 60, 70, 90, 90, 90))
    with pytest.raises(InputError, match=r"cell 9\.643 .*expected"):
        start_from_model(other, SAMPLE.model_path)
    other = replace(data, space_group=gemmi.SpaceGroup("P 1"))
    with pytest.raises(InputError, match=r"space group P 1 21 1, expected P 1 of .*`space_group`"):
        start_from_model(other, SAMPLE.model_path)
    text = "\n".join(
        line for line in gemmi.read_structure(str(SAMPLE.model_path)).make_pdb_string().splitlines()
        if not line.startswith(("ATOM", "HETATM", "ANISOU"))
    )  # fmt: skip
    (tmp_path / "empty.pdb").write_text(text)
    with pytest.raises(InputError, match=r"empty\.pdb: has no atoms"):
        read_model(tmp_path / "empty.pdb")
    (tmp_path / "cut.cif").write_text("data_x\nloop_\n_atom_site.id\n_atom_site.")
    with pytest.raises(InputError, match=r"cut\.cif: (cannot be read as a model|has no atoms)"):
        read_model(tmp_path / "cut.cif")
    with pytest.raises(InputError, match="no such file"):
        read_model(tmp_path / "none.pdb")


def test_folders(data: CrystalData, model_factors: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no solution\.mtz; expected reflections, or"):
        read_solved_folder(tmp_path)
    phases_file(tmp_path / "solution.mtz", data, model_factors)
    with pytest.raises(InputError, match=r"has no summary\.json"):
        read_solved_folder(tmp_path)
    summary = tmp_path / "summary.json"
    summary.write_text("{}")
    old = read_solved_folder(tmp_path)
    assert old.sequences == ()
    assert (old.copies, old.start.structure, old.start.atoms) == (None, None, None)
    asked = {"data": "x.mtz", "sequence": ["LVHSSN"], "copies": 1, "radiation": "electron"}
    summary.write_text(json.dumps({"input": asked}))
    solved = read_solved_folder(tmp_path)
    assert solved.sequences == ("LVHSSN",)
    assert solved.copies == 1
    assert solved.data.radiation == "electron"
    for broken in ({"sequence": 3}, {**asked, "radiation": "light"}, [], {**asked, "copies": "1"}):
        summary.write_text(json.dumps({"input": broken}))
        with pytest.raises(InputError, match=r"'input' is damaged"):
            read_solved_folder(tmp_path)
    content = (tmp_path / "solution.mtz").read_bytes()
    summary.write_text(json.dumps({"input": asked}))
    (tmp_path / "solution.mtz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"solution\.mtz"):
        read_solved_folder(tmp_path)
    (tmp_path / "solution.mtz").write_bytes(content)
    (tmp_path / "atoms.res").write_text("TITL cut\nSFAC C N\nFVAR 1.0\nC1 1 0.1 0.2")
    with pytest.raises(InputError, match=r"atoms\.res: expected"):
        read_solved_folder(tmp_path)


def test_a_model_in_the_other_enantiomorphic_group(tmp_path: Path) -> None:
    """Its phases are of no use then, and building goes on in the model's group."""
    cell, group = gemmi.UnitCell(20, 20, 25, 90, 90, 90), gemmi.SpaceGroup("P 41")
    hkl = gemmi.make_miller_array(cell, group, 2.0).astype(np.int32)
    data = CrystalData(cell, group, hkl, np.ones(len(hkl)), sigf=np.full(len(hkl), 0.1))
    model = gemmi.read_structure(str(SAMPLE.model_path))
    model.cell, model.spacegroup_hm = cell, "P 43"
    phases_file(tmp_path / "solution.mtz", data, np.ones(len(hkl), dtype=complex))
    (tmp_path / "model.cif").write_text(model.make_mmcif_document().as_string())
    for solved in (True, False):
        (tmp_path / "summary.json").write_text(json.dumps({"solved": solved}))
        folder = read_solved_folder(tmp_path)
        assert folder.data.space_group.xhm() == "P 43"
        assert folder.start.F is None
        assert (folder.start.ab_initio, folder.start.all_data) == (solved, solved or None)
