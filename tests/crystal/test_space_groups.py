"""Space groups in every notation, against gemmi's table."""

from __future__ import annotations

import gemmi
import pytest

from crysformer.crystal.space_groups import (
    SymmetryRecords,
    ambiguity,
    identify_space_group,
    parse_space_group,
    resolve_symmetry,
)
from crysformer.errors import InputError, UsageError

UNIQUE_B = gemmi.UnitCell(9, 10, 19, 90, 101, 90)
UNIQUE_C = gemmi.UnitCell(9, 10, 19, 90, 90, 101)
HEXAGONAL = gemmi.UnitCell(20, 20, 30, 90, 90, 120)
RHOMBOHEDRAL = gemmi.UnitCell(20, 20, 20, 80, 80, 80)


@pytest.mark.parametrize("group", list(gemmi.spacegroup_table()), ids=lambda group: group.xhm())
def test_every_setting_in_every_notation(group: gemmi.SpaceGroup) -> None:
    triplets = [op.triplet() for op in group.operations()]
    for text in (group.xhm(), "; ".join(triplets), " ".join(triplets).upper()):
        found = parse_space_group(text)
        assert found is not None
        assert found.operations() == group.operations()
    found, _ = identify_space_group(SymmetryRecords(hall=group.hall))
    assert found is not None
    assert found.operations() == group.operations()
    short = group.hm.replace(" ", "")
    found = parse_space_group(short)
    assert found is not None
    assert found.number == group.number


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("P2(1)2(1)2(1)", "P 21 21 21"),
        ("P 2(1) 2(1) 2", "P 21 21 2"),
        ("P2(1)", "P 1 21 1"),
        ("P12(1)1", "P 1 21 1"),
        ("P4(1)2(1)2", "P 41 21 2"),
        ("P6(5)22", "P 65 2 2"),
        ("C222(1)", "C 2 2 21"),
        ("P 2_1 2_1 2_1", "P 21 21 21"),
        ("P2_{1}2_{1}2_{1}", "P 21 21 21"),
        ("P2<sub>1</sub>", "P 1 21 1"),
        ("P2~1~2~1~2~1~", "P 21 21 21"),
        ("P2₁2₁2₁", "P 21 21 21"),
        ("P−1", "P -1"),
        ("p212121", "P 21 21 21"),
        ("'P 1 21 1'", "P 1 21 1"),
        ("P 21 21 21 (No. 19)", "P 21 21 21"),
        ("P212121 #19", "P 21 21 21"),
        ("19", "P 21 21 21"),
        ("No. 19", "P 21 21 21"),
        ("no.4", "P 1 21 1"),
        ("1004", "P 1 1 21"),
        ("P 2yb", "P 1 21 1"),
        ("P 2ac 2ab", "P 21 21 21"),
        ("-X, 0.5+Y, -Z", "P 1 21 1"),
        ("R3:H", "R 3:H"),
        ("R 3 H", "R 3:H"),
        ("H3", "R 3:H"),
        ("H 3 2", "R 3 2:H"),
        ("R32:R", "R 3 2:R"),
    ],
)
def test_notations(text: str, symbol: str) -> None:
    found = parse_space_group(text)
    assert found is not None
    assert found.xhm() == symbol


@pytest.mark.parametrize("text", ["", "nonsense", "0", "231", "99999", "P2(7)", "x,y", "x,y,q"])
def test_what_is_none(text: str) -> None:
    assert parse_space_group(text) is None


@pytest.mark.parametrize("text", ["P22", "P33", "P44", "P66", "C22", "I22", "P2121", "P11"])
def test_incomplete_symbols_are_no_hall_symbols(text: str) -> None:
    assert parse_space_group(text) is None
    with pytest.raises(UsageError, match=f"x: unknown space group '{text}'"):
        resolve_symmetry("x", UNIQUE_B, text)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("P 2 2", "an incomplete Hermann-Mauguin symbol, or the Hall symbol of P 2 2 2"),
        ("P 4 2", "P 42 with other spaces, or the Hall symbol of P 4 2 2"),
        ("P4 2", "P 42 with other spaces, or the Hall symbol of P 4 2 2"),
        ("P 3 2", "P 32 with other spaces, or the Hall symbol of P 3 1 2"),
        ("P 21 1", "P 2 1 1 with other spaces, or the Hall symbol of P 1 1 21"),
        ("C 21 1", "C 2 1 1 with other spaces, or the Hall symbol of C 1 1 21"),
    ],
)
def test_ambiguous_symbols_are_refused_with_their_readings(text: str, readings: str) -> None:
    assert parse_space_group(text) is None
    with pytest.raises(
        UsageError, match=f"x: ambiguous space group '{text}': it may be {readings}"
    ):
        resolve_symmetry("x", UNIQUE_B, text)


@pytest.mark.parametrize(
    "text", ["P21", "P 21", "P 4 1 2 1 2", "P 2 1 2 1 2 1", "P 1 2 1", "P2 2 2"]
)
def test_other_spacing_with_one_reading_only(text: str) -> None:
    assert parse_space_group(text) is not None
    assert ambiguity(text) == ""


@pytest.mark.parametrize(
    ("text", "cell", "symbol"),
    [
        ("P21", UNIQUE_B, "P 1 21 1"),
        ("P21", UNIQUE_C, "P 1 1 21"),
        ("P2(1)", UNIQUE_C, "P 1 1 21"),
        ("4", UNIQUE_C, "P 1 1 21"),
        ("B2", UNIQUE_C, "B 1 1 2"),
        ("R3", HEXAGONAL, "R 3:H"),
        ("R3", RHOMBOHEDRAL, "R 3:R"),
        ("146", RHOMBOHEDRAL, "R 3:R"),
        ("146", HEXAGONAL, "R 3:H"),
        ("P 1 21 1", UNIQUE_C, "P 1 21 1"),
    ],
)
def test_the_cell_decides_between_settings(text: str, cell: gemmi.UnitCell, symbol: str) -> None:
    found = parse_space_group(text, cell)
    assert found is not None
    assert found.xhm() == symbol


def test_full_symbol_that_contradicts_the_cell_is_refused() -> None:
    with pytest.raises(InputError, match="contradicts space group P 1 21 1"):
        resolve_symmetry("x", UNIQUE_C, "P 1 21 1")


TWOFOLD_SCREW = ("X,Y,Z", "-X,Y+1/2,-Z")


def test_one_statement_of_a_file_suffices() -> None:
    for records, says in [
        (SymmetryRecords(symbol="P 1 21 1"), ""),
        (SymmetryRecords(symbol="No.4"), ""),
        (SymmetryRecords(number=4), "taken from the file's number"),
        (SymmetryRecords(hall="P 2yb"), "taken from the file's Hall symbol"),
        (SymmetryRecords(operators=TWOFOLD_SCREW), "taken from the file's operators"),
        (SymmetryRecords("made up", "?", 4, TWOFOLD_SCREW), "'made up' is not understood"),
    ]:
        group, notes = identify_space_group(records)
        assert group is not None
        assert group.xhm() == "P 1 21 1"
        assert says in "; ".join(notes)
        assert bool(notes) == bool(says)


def test_operators_decide_the_setting() -> None:
    records = SymmetryRecords("P 21", number=4, operators=("x,y,z", "-x,-y,z+1/2"))
    group, notes = identify_space_group(records)
    assert group is not None
    assert group.xhm() == "P 1 1 21"
    assert "symbol means P 1 21 1, its operators P 1 1 21, which is used" in notes[0]


def test_most_statements_win_where_they_contradict_each_other() -> None:
    group, notes = identify_space_group(SymmetryRecords("P 1 21 1", number=4, operators=("x,y,z",)))
    assert group is not None
    assert group.xhm() == "P 1 21 1"
    assert "operators mean P 1, its symbol P 1 21 1, which is used" in notes[0]


def test_nothing_that_can_be_read() -> None:
    group, notes = identify_space_group(SymmetryRecords(symbol="made up", number=999))
    assert group is None
    assert len(notes) == 2
    with pytest.raises(InputError, match=r"no space group .*'made up' is not understood"):
        resolve_symmetry("x", UNIQUE_B, group, "; ".join(notes))
