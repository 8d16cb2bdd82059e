"""Files for SHELXL: atoms, symmetry and reflections as an independent reading has them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

from crysformer.building.writing.shelxl_hkl import shelxl_hkl
from crysformer.building.writing.shelxl_ins import shelxl_ins
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal


@dataclass
class Ins:
    """An .ins file, read by the rules of the SHELXL manual."""

    structure: gemmi.SmallStructure = field(default_factory=gemmi.SmallStructure)
    instructions: dict[str, list[list[str]]] = field(default_factory=dict)
    residues: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)


def read_ins(text: str) -> Ins:
    lines: list[str] = []
    for line in text.splitlines():
        assert len(line) <= 80
        if lines and lines[-1].endswith("="):
            assert line.startswith("  ")
            lines[-1] = lines[-1][:-1] + line
        else:
            lines.append(line)
    ins, residue, part, in_atoms = Ins(), "", 0, False
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "RESI":
            residue, in_atoms = " ".join(words[1:]), True
        elif words[0] == "PART":
            part = int(words[1])
        elif words[0] in ("HKLF", "END"):
            in_atoms = False
            ins.instructions.setdefault(words[0], []).append(words[1:])
        elif in_atoms:
            ins.residues.append(residue)
            ins.parts.append(part)
            ins.structure.add_site(read_atom(words, ins.instructions))
        else:
            ins.instructions.setdefault(words[0], []).append(words[1:])
    numbers = [float(x) for x in ins.instructions["CELL"][0]]
    ins.structure.cell = gemmi.UnitCell(*numbers[1:])
    return ins


def read_atom(words: list[str], instructions: dict[str, list[list[str]]]) -> object:
    site = gemmi.SmallStructure.Site()
    assert len(words[0]) <= 4
    assert words[0][0].isalpha()
    site.label = words[0]
    site.element = gemmi.Element(instructions["SFAC"][0][int(words[1]) - 1])
    values = [float(x) for x in words[2:]]
    site.fract = gemmi.Fractional(*values[:3])
    code = values[3]
    variable = round(abs(code) / 10)
    factor = abs(code) - 10 * variable
    free = [float(x) for x in instructions["FVAR"][0]]
    if variable == 1:
        site.occ = factor
    else:
        site.occ = factor * (free[variable - 1] if code > 0 else 1 - free[variable - 1])
    if len(values) > 5:
        u11, u22, u33, u23, u13, u12 = values[4:]
        site.aniso = gemmi.SMat33d(u11, u22, u33, u12, u13, u23)
    else:
        site.u_iso = values[4]
    return site


def small_structure_factors(ins: Ins, group: gemmi.SpaceGroup, hkl: list[list[int]]) -> np.ndarray:
    structure = ins.structure
    structure.spacegroup = group
    structure.setup_cell_images()
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    # site factors of SHELXL are those of the whole special position
    return np.array([direct.calculate_sf_from_small_structure(structure, h) for h in hkl])


def without_hydrogens(model: SimpleNamespace) -> SimpleNamespace:
    structure = model.scaled.structure.clone()
    structure.remove_hydrogens()
    scaled = replace(model.scaled, structure=structure)
    return SimpleNamespace(**{**vars(model), "scaled": scaled})


def test_structure_factors_of_the_ins_file_are_those_of_the_model(
    finished_2ol9: SimpleNamespace,
) -> None:
    model = without_hydrogens(finished_2ol9)
    structure = model.scaled.structure
    residue = structure[0][0][1]
    atom = residue["CB"][0]  # one atom with anisotropic displacements, one residue in two parts
    atom.aniso = gemmi.SMat33f(0.02, 0.03, 0.05, 0.004, -0.006, 0.008)
    side = [a for a in structure[0][0][0] if a.name in ("CB", "OG")]
    for a in side:
        a.altloc, a.occ = "A", 0.7
    for a in side:
        other = a.clone()
        other.altloc, other.occ = "B", 0.3
        other.pos.y += 1.0
        structure[0][0][0].add_atom(other)
    ins = read_ins(shelxl_ins(model))
    assert len(ins.structure.sites) == structure[0].count_atom_sites()
    hkl = model.data.hkl[::60].tolist()
    found = small_structure_factors(ins, model.data.space_group, hkl)
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    expected = np.array([direct.calculate_sf_from_model(structure[0], h) for h in hkl])
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    assert sorted(set(ins.parts)) == [0, 1, 2]
    assert ins.instructions["FVAR"][0][1] == "0.70000"


def test_anisotropic_displacements_in_an_oblique_cell_against_gemmi(shared_dir: Path) -> None:
    structure = gemmi.read_structure(str(shared_dir / "experimental" / "1byz.pdb.gz"))
    structure.remove_hydrogens()
    data = read_crystal(shared_dir / "experimental" / "1byz.mtz")
    scaled = SimpleNamespace(structure=structure, k_overall=1.0, k_sol=0.0)
    model = SimpleNamespace(data=data, scaled=scaled, free=free_set(data))
    ins = read_ins(shelxl_ins(model))
    assert any(site.aniso.nonzero() for site in ins.structure.sites)
    hkl = data.hkl[::2000].tolist()
    structure.setup_cell_images()
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    expected = np.array([direct.calculate_sf_from_model(structure[0], h) for h in hkl])
    found = small_structure_factors(ins, data.space_group, hkl)
    assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()


def test_instructions(finished_2ol9: SimpleNamespace) -> None:
    text = shelxl_ins(finished_2ol9, "peptide")
    ins = read_ins(text)
    assert text.startswith("TITL peptide\n")
    assert ins.instructions["LATT"] == [["-1"]]
    assert "SYMM" not in ins.instructions
    assert ins.instructions["L.S."] == [["10", "-1"]]
    assert ins.instructions["HKLF"] == [["3"]]
    assert {"FMAP", "PLAN", "ZERR", "UNIT", "END"} <= set(ins.instructions)
    assert ins.residues[0] == "1 SER"
    # hydrogens of the model are left to HFIX, and count in UNIT
    assert "H" not in {site.element.name for site in ins.structure.sites}
    unit = dict(zip(ins.instructions["SFAC"][0], ins.instructions["UNIT"][0], strict=True))
    atoms = [s.atom for s in finished_2ol9.scaled.structure[0].all()]
    assert int(unit["H"]) == sum(a.is_hydrogen() for a in atoms)
    assert ["13", "CA"] in ins.instructions["HFIX_PHE"]
    assert ["33", "N_1"] in ins.instructions["HFIX"]
    plain = read_ins(shelxl_ins(without_hydrogens(finished_2ol9)))
    assert "HFIX_PHE" not in plain.instructions
    distances = {tuple(words[1:]): float(words[0]) for words in ins.instructions["DFIX_PHE"]}
    assert distances["CA", "CB"] == pytest.approx(1.53, abs=0.01)
    links = ins.instructions["DFIX"]
    assert [words[1:] for words in links] == [[f"C_{i}", f"N_{i + 1}"] for i in range(1, 6)]
    # CA to the next CA is fixed by the peptide's plane and three distances; here one of them
    across = {tuple(words[1:]): float(words[0]) for words in ins.instructions["DANG"]}
    assert across["C_1", "CA_2"] == pytest.approx(2.435, abs=0.02)
    assert across["CA_1", "N_2"] == pytest.approx(2.425, abs=0.02)
    assert across["O_1", "N_2"] == pytest.approx(2.250, abs=0.02)


def test_special_positions_and_symmetry() -> None:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(10, 11, 12, 90, 100, 90)
    structure.spacegroup_hm = "C 1 2 1"
    structure.add_model(gemmi.Model(1))
    chain = structure[0].add_chain(gemmi.Chain("A"))
    for number, x in ((1, (0.0, 0.3, 0.0)), (2, (0.2, 0.1, 0.3))):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "HOH", gemmi.SeqId(str(number))
        atom = gemmi.Atom()
        atom.name, atom.element, atom.occ, atom.b_iso = "O", gemmi.Element("O"), 1.0, 10.0
        atom.pos = structure.cell.orthogonalize(gemmi.Fractional(*x))
        residue.add_atom(atom)
        chain.add_residue(residue)
    data = SimpleNamespace(
        cell=structure.cell, space_group=gemmi.SpaceGroup("C 1 2 1"), radiation="xray",
        wavelength=1.0, kind="intensities",
    )  # fmt: skip
    free = SimpleNamespace(free=np.zeros(1, dtype=bool))
    scaled = SimpleNamespace(structure=structure, k_overall=1.0, k_sol=0.3)
    ins = read_ins(shelxl_ins(SimpleNamespace(data=data, free=free, scaled=scaled)))
    assert [site.occ for site in ins.structure.sites] == [0.5, 1.0]
    assert ins.instructions["LATT"] == [["-7"]]
    assert ins.instructions["SYMM"] == [["-X,Y,-Z"]]
    assert ins.instructions["L.S."] == [["10"]]
    assert ins.instructions["CELL"][0][0] == "1.00000"
    assert "SWAT" in ins.instructions
    assert ins.structure.sites[0].u_iso == pytest.approx(10 / (8 * math.pi**2), abs=1e-5)


def test_two_chains_have_different_numbers() -> None:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(30, 30, 30, 90, 90, 90)
    structure.add_model(gemmi.Model(1))
    for c, (name, first) in enumerate((("A", 5), ("B", 5))):
        chain = structure[0].add_chain(gemmi.Chain(name))
        residue = gemmi.Residue()
        residue.name, residue.seqid = "GLY", gemmi.SeqId(str(first))
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "CA", gemmi.Element("C"), gemmi.Position(9 * c, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    data = SimpleNamespace(
        cell=structure.cell, space_group=gemmi.SpaceGroup("P 1"), radiation="xray",
        wavelength=None, kind="amplitudes",
    )  # fmt: skip
    model = SimpleNamespace(
        data=data,
        free=SimpleNamespace(free=np.zeros(1, dtype=bool)),
        scaled=SimpleNamespace(structure=structure, k_overall=1.0, k_sol=0.0),
    )
    text = shelxl_ins(model)
    assert read_ins(text).residues == ["5 GLY", "1005 GLY"]
    assert "REM chain B: residues 5 to 5 are 1005 to 1005" in text
    structure[0]["B"][0].seqid = gemmi.SeqId("-3")
    assert read_ins(shelxl_ins(model)).residues == ["1 GLY", "2 GLY"]


@pytest.mark.parametrize("kind", ["amplitudes", "intensities"])
def test_reflections_are_read_back(
    finished_2ol9: SimpleNamespace, tmp_path: Path, kind: str
) -> None:
    data = replace(finished_2ol9.data, kind=kind)
    path = tmp_path / "model.hkl"
    path.write_text(shelxl_hkl(data, finished_2ol9.free))
    (tmp_path / "model.ins").write_text(
        shelxl_ins(SimpleNamespace(**{**vars(finished_2ol9), "data": data}))
    )
    again = read_crystal(path)
    assert again.kind == kind
    assert again.space_group == data.space_group
    rows = {tuple(h): i for i, h in enumerate(again.hkl.tolist())}
    where = np.flatnonzero(data.measured)
    order = np.array([rows[tuple(h)] for h in data.hkl[where].tolist()])
    ratio = again.f[order] / data.f[where]
    strong = data.f[where] > np.median(data.f[where])
    assert ratio[strong] / np.median(ratio) == pytest.approx(
        np.ones(strong.sum()), rel=0.06
    )  # French-Wilson
    lines = path.read_text().splitlines()
    assert len(lines) == len(where) + 1
    assert lines[-1].split()[:3] == ["0", "0", "0"]
    free = finished_2ol9.free.free[where]
    assert [int(line[28:]) for line in lines[:-1]] == np.where(free, -1, 1).tolist()
    assert {len(line) for line in lines} == {32}
    assert all(float(line[20:28]) > 0 for line in lines[:-1])
