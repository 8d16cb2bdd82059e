"""Contents of the cell from sequence and data."""

from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.crystal.cell_composition import count_atoms
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.phasing.cell_content import cell_content


def scattered(
    make_crystal: Callable[..., Any],
    group: str = "P 1 21 1",
    b_iso: float = 20.0,
    d_min: float = 1.5,
) -> Any:
    """60 atoms anywhere in an asymmetric unit that holds them at 18 A^3 each."""
    n = len(gemmi.SpaceGroup(group).operations())
    side = (60 * 18.0 * n) ** (1 / 3)
    cell = gemmi.UnitCell(side, side, side, 90, 90, 90)
    frac = np.random.default_rng(3).random((60, 3))
    return make_crystal(cell, group, frac, np.full(60, 6), b_iso=b_iso, d_min=d_min)


def test_sequence_counts_atoms_of_the_whole_cell(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("LVHSSN",), copies=1)
    # L 8, V 7, H 10, S 6, S 6, N 8, and OXT: 46; two asymmetric units
    assert content.n_atoms == 2 * 46 == 2 * count_atoms(["LVHSSN"])
    assert content.sequences == ("LVHSSN",)
    assert content.copies == 1
    assert content.notes == ()


def test_several_chains_and_copies(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("GG", "A"), copies=3)
    assert content.n_atoms == 2 * 3 * (9 + 6)
    assert content.copies == 3


def test_copies_are_estimated_and_said(make_crystal: Callable[..., Any]) -> None:
    data = scattered(make_crystal).data
    content = cell_content(data, ("LVHSSN",))
    assert content.copies == 1
    assert content.n_atoms == 92
    (note,) = content.notes
    assert "1 copy" in note
    assert "`copies`" in note
    assert cell_content(data, ("GGG",)).copies == 4  # 13 atoms a copy, 18 A^3 each


def test_without_a_sequence_only_b_is_known(make_crystal: Callable[..., Any]) -> None:
    content = cell_content(scattered(make_crystal).data)
    assert content.n_atoms is None
    assert content.sequences == ()
    assert content.copies == 1
    assert content.notes == ()


@pytest.mark.parametrize("b_iso", [8.0, 35.0])
def test_b_is_that_of_the_crystal(make_crystal: Callable[..., Any], b_iso: float) -> None:
    data = scattered(make_crystal, "P 1", b_iso).data
    assert cell_content(data).b_iso == pytest.approx(b_iso, abs=4)


@pytest.mark.parametrize(
    ("d_min", "b_iso", "expected"),
    [(1.5, 150.0, 80.0), (1.5, -20.0, 3.0), (0.9, -20.0, 0.3), (2.0, -20.0, 3.0)],
)
def test_b_stays_within_limits(
    make_crystal: Callable[..., Any], d_min: float, b_iso: float, expected: float
) -> None:
    content = cell_content(scattered(make_crystal, "P 1", b_iso, d_min).data)
    assert content.b_iso == expected
    assert content.notes[-1].endswith(f"the search takes {expected:g}")


def test_a_low_b_is_believed_at_atomic_resolution(make_crystal: Callable[..., Any]) -> None:
    content = cell_content(scattered(make_crystal, "P 1", 1.2, d_min=0.9).data)
    assert content.b_iso == pytest.approx(1.2, abs=0.6)
    assert content.notes == ()


@pytest.mark.parametrize(
    ("sequences", "copies", "error", "message"),
    [
        ((), 2, UsageError, "`copies` needs `sequence`"),
        (("GG",), 0, UsageError, "`copies` is 0"),
        (("GG",), -1, UsageError, "`copies` is -1"),
        (("W" * 40,), None, InputError, "atoms, but the asymmetric unit"),
        (("LVHSSN",), 5, InputError, "5 copies"),
    ],
)
def test_what_cannot_be_is_refused(
    make_crystal: Callable[..., Any],
    sequences: tuple[str, ...],
    copies: int | None,
    error: type[CrysformerError],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        cell_content(scattered(make_crystal).data, sequences, copies)
    assert "\n" not in str(caught.value)


def test_a_composition_counts_atoms_and_hydrogen_only_scatters(
    make_crystal: Callable[..., Any],
) -> None:
    data = scattered(make_crystal).data
    formula = {"C": 40, "H": 80, "N": 10, "O": 10}
    content = cell_content(data, formula=formula)
    assert content.copies == 1
    assert content.n_atoms == 2 * 60
    assert content.composition == {"C": 80, "N": 20, "O": 20}
    assert "18.0 A^3 for each atom" in content.notes[0]
    heavy = {name: n for name, n in formula.items() if name != "H"}
    assert cell_content(data, formula=heavy).b_iso != content.b_iso
    assert cell_content(data, formula={"C": 20}, copies=3).n_atoms == 2 * 60
    assert cell_content(data, formula={"C": 20, "H": 9}).copies == 3


@pytest.mark.parametrize(
    ("sequences", "copies", "formula", "error", "part"),
    [
        ((), None, {"C": 200}, InputError, "the composition has 200 atoms"),
        ((), 4, {"C": 60}, InputError, "4 copies of the composition have 240 atoms"),
        ((), 0, {"C": 60}, UsageError, "`copies` is 0"),
        (("GG",), None, {"C": 60}, UsageError, "both `sequence` and `composition`"),
        ((), 2, None, UsageError, "`copies` needs `sequence` or `composition`"),
    ],
)
def test_contents_that_cannot_be_are_refused(
    make_crystal: Callable[..., Any],
    sequences: tuple[str, ...],
    copies: int | None,
    formula: dict[str, int] | None,
    error: type[CrysformerError],
    part: str,
) -> None:
    with pytest.raises(error, match=part):
        cell_content(scattered(make_crystal).data, sequences, copies, formula)
