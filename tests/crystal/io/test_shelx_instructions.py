"""Instruction files beside a reflection list: names, continued lines, comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.shelx_instructions import instructions_beside, parse_instructions
from crysformer.errors import InputError

INS = (
    "TITL made up\nCELL 0.71073 8.1 9.4 17.3 90 101.5 90\nLATT -1\nSYMM -X,0.5+Y,-Z\nHKLF 4\nEND\n"
)
HKL = "".join(f"{h:4d}{k:4d}{1:4d}{90.0:8.2f}{1.0:8.2f}\n" for h in range(4) for k in range(4))


def pair(folder: Path, hkl: str, ins: str, text: str = INS) -> Path:
    (folder / ins).write_text(text)
    path = folder / hkl
    path.write_text(HKL)
    return path


@pytest.mark.parametrize(
    ("hkl", "ins"),
    [
        ("data.hkl", "data.ins"),
        ("data.hkl", "data.res"),
        ("data.hkl", "DATA.INS"),
        ("data.hkl", "data.INS"),
        ("data.hkl", "Data.Res"),
        ("DATA.HKL", "data.ins"),
        ("DATA.HKL", "DATA.INS"),
        ("data.v2.hkl", "data.v2.ins"),
        ("data", "data.ins"),
    ],
)
def test_names(tmp_path: Path, hkl: str, ins: str) -> None:
    data = read_crystal(pair(tmp_path, hkl, ins))
    assert data.space_group.xhm() == "P 1 21 1"
    assert any(f"looked up in {ins}" in note for note in data.notes)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".GZ"])
def test_compressed_list(tmp_path: Path, ending: str) -> None:
    path = pair(tmp_path, f"data.hkl{ending}", "data.ins")
    assert instructions_beside(path).name == "data.ins"


def test_same_capitals_come_first(tmp_path: Path) -> None:
    path = pair(tmp_path, "data.hkl", "DATA.INS", "CELL nonsense\n")
    (tmp_path / "data.res").write_text(INS)
    assert instructions_beside(path).name == "data.res"


@pytest.mark.parametrize(
    "text",
    [
        INS,
        INS.lower(),
        INS.replace("\n", "\r\n"),
        "\ufeff" + INS,
        INS.replace("-X,0.5+Y,-Z", "-X, =\n  0.5+Y, -Z"),
        INS.replace("-X,0.5+Y,-Z", "-X, 1/2 + Y, -Z ! the screw axis"),
        INS.replace("17.3 90 101.5", "17.3 =  \n      90 =\n 101.5"),
        INS.replace("LATT", "REM LATT 1\n SYMM x, y, z+1/2\nLATT"),
        INS + "SYMM X,-Y,1/2+Z\nWGHT 0.1\nQ1 1 0.1 0.2 0.3 11 0.05 1.0\n",
        INS.replace("HKLF", "FVAR 1.0 =\n 0.5\nHKLF"),
    ],
)
def test_text(text: str) -> None:
    found = parse_instructions(text.lstrip("\ufeff"), "x.ins")
    assert found.space_group is not None
    assert found.space_group.xhm() == "P 1 21 1"
    assert found.cell is not None
    assert found.cell.parameters == pytest.approx((8.1, 9.4, 17.3, 90, 101.5, 90))
    assert found.hklf == 4


@pytest.mark.parametrize(
    "change",
    [
        ("LATT -1", "LATT 9"),
        ("LATT -1", "LATT"),
        ("LATT -1", "LATT P"),
        ("HKLF 4", "HKLF"),
        ("8.1", ""),
        ("-X,0.5+Y,-Z", "-X,0.5+Q,-Z"),
        ("-X,0.5+Y,-Z", ""),
        ("-X,0.5+Y,-Z", "-X,0.1+Y,-Z"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, change: tuple[str, str]) -> None:
    path = pair(tmp_path, "data.hkl", "data.ins", INS.replace(*change))
    with pytest.raises(InputError) as caught:
        read_crystal(path)
    assert "data.ins" in str(caught.value) or "no space group" in str(caught.value)
    assert "\n" not in str(caught.value)
