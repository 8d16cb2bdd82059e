"""What standardising does to awkward residues and files."""

from __future__ import annotations

from collections import Counter

import gemmi
import numpy as np
import pytest

from crysformer.data.dataset.sources import StructureFile
from crysformer.data.dataset.standardise import FAULTS, Chain, parse, standardize
from crysformer.peptide import residues


def as_file(structure: gemmi.Structure) -> StructureFile:
    return StructureFile("1abc_A.pdb", structure.make_pdb_string().encode())


def only_chain(structure: gemmi.Structure) -> tuple[Chain, Counter[str]]:
    changes: Counter[str] = Counter()
    (found,) = standardize(parse(as_file(structure)), changes)
    return found, changes


def fault(chain: Chain, i: int) -> str:
    return FAULTS[chain.fault[i]]


def test_sound_chain_keeps_every_atom(chain: gemmi.Structure) -> None:
    standard, changes = only_chain(chain)
    assert not standard.fault.any()
    assert standard.bonded.all()
    assert +changes == {"atom_oxt_removed": 1}
    sequence = "".join(residues.CODES[c] for c in standard.code)
    assert sequence == gemmi.one_letter_code([r.name for r in chain[0][0]])
    for i, residue in enumerate(chain[0][0]):
        for j, name in enumerate(residues.ATOMS[standard.code[i]]):
            np.testing.assert_allclose(standard.xyz[i, j], residue[name][0].pos.tolist())


def test_selenomethionine_becomes_methionine(chain: gemmi.Structure) -> None:
    i = next(i for i, r in enumerate(chain[0][0]) if r.name == "MET")
    residue = chain[0][0][i]
    sulphur = residue["SD"][0].pos.tolist()
    residue.name = "MSE"
    residue["SD"][0].element = gemmi.Element("Se")
    residue["SD"][0].name = "SE"
    standard, changes = only_chain(chain)
    assert residues.CODES[standard.code[i]] == "M"
    assert not standard.fault[i]
    place = residues.ATOMS[residues.INDEX["MET"]].index("SD")
    np.testing.assert_allclose(standard.xyz[i, place], sulphur)
    assert residues.NUMBERS[residues.INDEX["MET"], place] == 16
    assert changes["residue_selenomethionine_to_methionine"] == 1


def test_hydrogens_and_oxt_are_left_out(chain: gemmi.Structure) -> None:
    last = chain[0][0][-1]
    assert "OXT" in last
    for name, element in (("HA", "H"), ("DA", "D")):
        atom = last["CA"][0].clone()
        atom.name, atom.element = name, gemmi.Element(element)
        atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) + 1.0))
        last.add_atom(atom)
    standard, changes = only_chain(chain)
    assert not standard.fault.any()
    assert +changes == {"atom_oxt_removed": 1}


def test_first_alternative_location_is_taken(chain: gemmi.Structure) -> None:
    residue = chain[0][0][5]
    first = residue["CB"][0].pos.tolist()
    other = residue["CB"][0].clone()
    residue["CB"][0].altloc, other.altloc = "A", "B"
    other.pos = gemmi.Position(0.0, 0.0, 0.0)
    residue.add_atom(other)
    standard, changes = only_chain(chain)
    np.testing.assert_allclose(standard.xyz[5, 4], first)
    assert not standard.fault[5]
    assert changes["residue_first_altloc_taken"] == 1


def test_microheterogeneity_takes_the_first_residue(chain: gemmi.Structure) -> None:
    residue = next(r for r in chain[0][0] if r.name == "SER")
    i = list(chain[0][0]).index(residue)
    twin = residue.clone()
    twin.name = "CYS"
    twin["OG"][0].name = "SG"
    for r, letter in ((residue, "A"), (twin, "B")):
        for atom in r:
            atom.altloc = letter
    chain[0][0].add_residue(twin, i + 1)
    standard, changes = only_chain(chain)
    assert residues.CODES[standard.code[i]] == "S"
    assert len(standard.code) == len(chain[0][0]) - 1
    assert changes["residue_microheterogeneity_first_taken"] == 1
    assert not standard.fault.any()


def remove_atom(residue: gemmi.Residue) -> None:
    residue.remove_atom("CA", "\0", gemmi.Element("C"))


def zero_occupancy(residue: gemmi.Residue) -> None:
    residue["CA"][0].occ = 0.0


def unknown_atom(residue: gemmi.Residue) -> None:
    residue["CB"][0].name = "CX"


def other_residue(residue: gemmi.Residue) -> None:
    residue.name = "SEP"


def mirror(residue: gemmi.Residue) -> None:
    n, ca, c = (np.array(residue[a][0].pos.tolist()) for a in ("N", "CA", "C"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    for atom in residue:
        p = np.array(atom.pos.tolist())
        atom.pos = gemmi.Position(*(p - 2 * np.dot(p - ca, normal) * normal))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (remove_atom, "residue_missing_atom"),
        (zero_occupancy, "residue_zero_occupancy"),
        (unknown_atom, "residue_unexpected_atom"),
        (other_residue, "residue_nonstandard"),
        (mirror, "residue_not_l"),
    ],
)
def test_faulty_residue_is_named(chain: gemmi.Structure, spoil: object, reason: str) -> None:
    i = next(i for i, r in enumerate(chain[0][0]) if r.name == "LEU")
    spoil(chain[0][0][i])  # type: ignore[operator]
    standard, _ = only_chain(chain)
    assert fault(standard, i) == reason
    assert (standard.fault > 0).sum() == 1


def test_a_gap_is_not_a_peptide_bond(chain: gemmi.Structure) -> None:
    del chain[0][0][20]
    standard, _ = only_chain(chain)
    assert np.flatnonzero(~standard.bonded).tolist() == [19]


def test_models_after_the_first_are_left(chain: gemmi.Structure) -> None:
    second = chain[0].clone()
    second.num = 2
    chain.add_model(second)
    standard, changes = only_chain(chain)
    assert len(standard.code) == 57
    assert changes["model_first_of_several"] == 1


def test_hetero_atoms_alone_are_no_protein() -> None:
    text = b"HETATM    1  O   HOH A   1      10.000  10.000  10.000  1.00 20.00           O\nEND\n"
    assert standardize(parse(StructureFile("1abc.pdb", text)), Counter()) == []


@pytest.mark.parametrize(
    "file",
    [
        StructureFile("a.cif", b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1\n"),
        StructureFile("a.cif", b"\x00\x01 not mmCIF"),
        StructureFile("a.pdb", None, "cannot be read (CRC check failed)"),
    ],
)
def test_damaged_files_are_refused(file: StructureFile) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|not a readable structure"):
        parse(file)
