"""SHELX .res files: symmetry, elements and values."""

from __future__ import annotations

import math

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.shelx_res import shelx_res

CENTRING = {1: ["x,y,z"], 2: ["x,y,z", "x+1/2,y+1/2,z+1/2"], 7: ["x,y,z", "x+1/2,y+1/2,z"]}


def text_of(group: str) -> str:
    return shelx_res(
        gemmi.UnitCell(7.5, 9.5, 9.7, 90, 90, 90),
        gemmi.SpaceGroup(group),
        ("O", "C", "Cl", "C"),
        np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9], [-0.1, 1.2, 0.0]]),
        np.array([8 * math.pi**2 * 0.02] * 4),
        np.array([1.0, 1.026, 1.0, 0.5]),
        np.ones(4, dtype=np.int64),
        title="test",
    )


def operators_of(text: str) -> set[str]:
    """All operators that LATT and SYMM stand for, as SHELXL reads them."""
    lines = text.splitlines()
    latt = int(next(line for line in lines if line.startswith("LATT")).split()[1])
    ops = [gemmi.Op("x,y,z")]
    ops += [gemmi.Op(line[5:].lower()) for line in lines if line.startswith("SYMM")]
    if latt > 0:
        ops += [gemmi.Op("-x,-y,-z") * op for op in ops]
    out = set()
    for op in ops:
        out |= {(gemmi.Op(shift) * op).wrap().triplet() for shift in CENTRING[abs(latt)]}
    return out


@pytest.mark.parametrize(
    "group", ["P 1", "P -1", "P 21 21 21", "P 1 21/c 1", "C 1 2/c 1", "I 41/a", "C 1 2 1", "P 41"]
)
def test_latt_and_symm_stand_for_the_whole_group(group: str) -> None:
    expected = {op.wrap().triplet() for op in gemmi.SpaceGroup(group).operations()}
    assert operators_of(text_of(group)) == expected


def test_atoms_refer_to_sfac_and_keep_their_values() -> None:
    lines = text_of("P 21 21 21").splitlines()
    assert next(line for line in lines if line.startswith("SFAC")) == "SFAC C Cl O"
    assert next(line for line in lines if line.startswith("UNIT")) == "UNIT 8 4 4"
    first = lines.index("FVAR 1.0") + 1
    atoms = [line.split() for line in lines[first : first + 4]]
    assert [atom[0] for atom in atoms] == ["O1", "C1", "Cl1", "C2"]
    assert [int(atom[1]) for atom in atoms] == [3, 1, 2, 1]
    assert [float(x) for x in atoms[3][2:5]] == [-0.1, 1.2, 0.0]
    assert [float(atom[5]) for atom in atoms] == [11.0, 11.0, 11.0, 10.5]
    assert float(atoms[0][6]) == pytest.approx(0.02)
    assert lines[-2:] == ["HKLF 4", "END"]
    assert all(len(line) <= 80 for line in lines)


def test_atoms_on_special_positions_have_part_of_the_occupancy_and_of_the_unit() -> None:
    text = shelx_res(
        gemmi.UnitCell(7.5, 9.5, 9.7, 90, 95, 90),
        gemmi.SpaceGroup("C 1 2/m 1"),
        ("S", "C", "C"),
        np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.3], [0.2, 0.1, 0.3]]),
        np.full(3, 1.5),
        np.ones(3),
        np.array([4, 2, 1]),
        title="special",
    )
    lines = text.splitlines()
    assert "SFAC C S" in lines
    assert "UNIT 12 2" in lines  # 8 operators: 8/4 S, 8/2 + 8 C
    atoms = [line.split() for line in lines if line.startswith(("S1", "C1", "C2"))]
    assert [float(atom[5]) for atom in atoms] == [10.25, 10.5, 11.0]
