"""The composition of sequences, and the copies a cell holds."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.crystal.cell_composition import (
    check_fits,
    composition,
    count_atoms,
    estimate_copies,
)
from crysformer.errors import InputError, UsageError

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
P21 = gemmi.SpaceGroup("P 1 21 1")


@pytest.mark.parametrize("letter", list(LETTERS))
def test_composition_weighs_what_gemmi_says(letter: str) -> None:
    """Free amino acid = residue + water: heavy atoms by weight, hydrogens from gemmi's table."""
    name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
    info = gemmi.find_tabulated_residue(name)
    heavy = sum(gemmi.Element(e).weight * n for e, n in composition(letter).items())
    hydrogens = (info.weight - heavy) / gemmi.Element("H").weight
    # gemmi counts charged and neutral forms differently: a whole number near its own is meant.
    assert hydrogens == pytest.approx(round(hydrogens), abs=0.05)
    assert abs(round(hydrogens) - info.hydrogen_count) <= 1


def test_composition_of_known_peptides() -> None:
    assert composition("GNNQQNY") == {"C": 33, "N": 12, "O": 14}
    assert composition("G") == {"C": 2, "N": 1, "O": 2}
    assert composition("MC") == {"C": 8, "N": 2, "O": 3, "S": 2}
    assert count_atoms(["LVHSSN"]) == 46
    assert count_atoms(["LVH", "SSN"]) == 47


@given(st.text(alphabet=LETTERS, min_size=1, max_size=40), st.integers(1, 40))
def test_peptide_bond_loses_one_oxygen(sequence: str, place: int) -> None:
    left, right = sequence[:place], sequence[place:]
    if right:
        assert count_atoms([left, right]) == count_atoms([sequence]) + 1


def test_counts_equal_deposited_models(shared_dir: Path) -> None:
    for name, sequence in [("1yjp.cif.gz", "GNNQQNY"), ("5e5z.pdb.gz", "LVHSSN")]:
        structure = gemmi.read_structure(str(shared_dir / "experimental" / name))
        structure.setup_entities()
        structure.remove_waters()
        structure.remove_hydrogens()
        assert count_atoms([sequence]) == structure[0].count_atom_sites()


@pytest.mark.parametrize(
    ("cell", "group", "sequence", "copies"),
    [
        ((21.937, 4.866, 23.477, 90, 107.08, 90), "P 1 21 1", "GNNQQNY", 1),  # 1YJP
        ((9.643, 9.609, 19.029, 90, 101.22, 90), "P 1 21 1", "LVHSSN", 1),  # 5E5Z
        ((20.846, 20.909, 27.057, 102.4, 95.33, 119.62), "P 1", "ELLKKLLEELKG", 4),  # 1BYZ
        ((50.84, 42.77, 28.95, 90, 90, 90), "P 21 21 21", "A" * 20 + "K" * 56, 1),  # as 1UBQ
        ((41.0, 30.0, 24.0, 90, 90, 90), "P 1", "A" * 15, 1),  # a made cell
    ],
)
def test_copies(cell: tuple[float, ...], group: str, sequence: str, copies: int) -> None:
    found = estimate_copies(gemmi.UnitCell(*cell), gemmi.SpaceGroup(group), [sequence])
    assert found.copies == copies
    assert found.statement.startswith(f"{copies} cop")
    assert "`copies`" in found.statement
    assert "\n" not in found.statement


def test_copies_grow_with_the_cell() -> None:
    counts = [
        estimate_copies(gemmi.UnitCell(22 * n, 4.866, 23.5, 90, 107, 90), P21, ["GNNQQNY"]).copies
        for n in range(1, 8)
    ]
    assert counts == [1, 2, 3, 4, 5, 6, 7]


def test_too_many_atoms() -> None:
    cell = gemmi.UnitCell(9.643, 9.609, 19.029, 90, 101.22, 90)
    with pytest.raises(InputError, match=r"the sequence has 601 atoms.*holds at most 86"):
        estimate_copies(cell, P21, ["A" * 120])
    check_fits(cell, P21, ["LVHSSN"])
    with pytest.raises(InputError, match=r"2 copies of the sequence have 92 atoms"):
        check_fits(cell, P21, ["LVHSSN"], copies=2)
    with pytest.raises(UsageError, match="expected at least 1"):
        check_fits(cell, P21, ["LVHSSN"], copies=0)
