"""Molecular formulae: reading, and refusals in one line."""

import pytest

from crysformer.crystal.molecular_formula import (
    formula_of,
    formula_text,
    heavy_atoms,
    parse_formula,
)
from crysformer.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C45H60N4O4", {"C": 45, "H": 60, "N": 4, "O": 4}),
        ("C H4", {"C": 1, "H": 4}),
        ("CO", {"C": 1, "O": 1}),
        ("Co", {"Co": 1}),
        ("C2D6OS", {"C": 2, "H": 6, "O": 1, "S": 1}),
        ("CH3CH2OH", {"C": 2, "H": 6, "O": 1}),
    ],
)
def test_elements_and_counts(text: str, expected: dict[str, int]) -> None:
    assert parse_formula(text) == expected
    assert parse_formula(formula_text(expected)) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("c6h6", "'c' at position 1"),
        ("C6(H2O)6", "'\\(' at position 3"),
        ("C6Xx2", "'Xx' is not an element"),
        ("C6Q", "'Q' is not an element"),
        ("C6H0", "0 atoms of H"),
        ("H2", "no atoms but hydrogen"),
        ("C5H10N2O3+", "position 10"),
    ],
)
def test_bad_formulae_are_refused_in_one_line(text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part) as caught:
        parse_formula(text)
    assert "\n" not in str(caught.value)


def test_hydrogen_is_left_out_and_c_comes_first() -> None:
    formula = {"O": 3, "H": 10, "N": 2, "C": 5}
    assert heavy_atoms(formula) == {"O": 3, "N": 2, "C": 5}
    assert formula_text(formula) == "C5 H10 N2 O3"
    assert formula_text({"O": 1, "H": 2}) == "H2 O1"


def test_counts_are_checked_like_text() -> None:
    assert formula_of(None) is None
    assert formula_of({"C": 2, "H": 6}) == formula_of("C2H6") == {"C": 2, "H": 6}
    for wrong in ({}, {"Xx": 1}, {"C": 0}, {"C": -1}):
        with pytest.raises(UsageError):
            formula_of(wrong)
