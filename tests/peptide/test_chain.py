"""How chains are written: D residues, blocked ends, and what atoms they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crysformer.crystal.cell_composition import count_atoms, estimate_copies
from crysformer.errors import UsageError
from crysformer.peptide.chain import Chain, letters_of, parse_chain
from crysformer.peptide.residues import D_NAME_OF
from crysformer.peptide.sequence_file import read_sequences
from crysformer.peptide.three_letter import one_letter_notation


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("ELLK", Chain("ELLK")),
        ("Ac-ELLK-NH2", Chain("ELLK", acetyl=True, amide=True)),
        ("(ACE)ELLK(NH2)", Chain("ELLK", acetyl=True, amide=True)),
        ("H-ELLK-OH", Chain("ELLK")),
        ("H-NH2", Chain("H", amide=True)),
        ("H-H-OH", Chain("H")),
        ("ac-gly", Chain("GLY", acetyl=True)),
        ("A(D-Ala)(d-L)(DPN)G(MSE)", Chain("AALFGM", frozenset({1, 2, 3}))),
        ("(Ala)(L-Leu)(D-Gly)", Chain("ALG")),
        ("ACE", Chain("ACE")),  # three residues: only a hyphen or brackets make it an acetyl
        ("dada", Chain("DADA")),
    ],
)
def test_notation(text: str, chain: Chain) -> None:
    assert parse_chain(text) == chain
    assert letters_of(text) == chain.letters


def test_letters_beside_brackets_are_letters_also_if_they_spell_a_name() -> None:
    for text in ("CME(DAL)A", "Ac-CME(DAL)A-NH2"):
        chain = parse_chain(text)
        assert chain.letters == "CMEAA"
        assert read_sequences(text) == (str(chain),)


@given(
    st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
    st.booleans(),
    st.booleans(),
)
def test_what_is_written_is_read_again(
    letters: str, mirrored: set[int], acetyl: bool, amide: bool
) -> None:
    d_residues = frozenset(i for i in mirrored if i < len(letters) and letters[i] != "G")
    chain = Chain(letters, d_residues, acetyl, amide)
    assert parse_chain(str(chain)) == chain
    if one_letter_notation(str(chain)) is None:  # some, as ALAGLY, are names as well
        assert read_sequences(str(chain)) == (str(chain),)


@pytest.mark.parametrize("text", ["A(XYZ)", "(D-Xyz)", "A-NH3", "A*A", "Ac-", "Ac--NH2", "A(DAL"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_sequences(text)


def test_ends_count_as_atoms() -> None:
    # by hand: CH3CO- adds C2 O; -NH2 has N where the acid has O
    free, blocked = parse_chain("GA").composition(), parse_chain("Ac-GA-NH2").composition()
    assert free == {"C": 5, "N": 2, "O": 3}
    assert blocked == {"C": 7, "N": 3, "O": 3}
    assert count_atoms(("Ac-GA-NH2",)) == count_atoms(("GA",)) + 3
    assert parse_chain("G(D-Ala)").composition() == free


def test_names_are_those_of_the_components_dictionary() -> None:
    import gemmi

    for letter, name in D_NAME_OF.items():
        residue = gemmi.find_tabulated_residue(name)
        assert residue.one_letter_code.upper() == letter, name
        assert residue.kind == gemmi.ResidueKind.AAD


def test_residues_are_counted_not_characters() -> None:
    import gemmi

    cell, group = gemmi.UnitCell(9.6, 9.6, 19, 90, 101, 90), gemmi.SpaceGroup("P 1 21 1")
    plain = estimate_copies(cell, group, ("LVHSSN",))
    mirrored = estimate_copies(cell, group, ("(DLE)(DVA)(DHI)(DSN)(DSN)(DSG)",))
    assert mirrored == plain
