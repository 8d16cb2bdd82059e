"""Space group from whatever statement a file makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.errors import InputError

WriteMtz = Callable[..., Path]


@pytest.fixture
def mtz(write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray) -> Path:
    f = np.full(len(unique_hkl), 9.0)
    return write_mtz(tmp_path / "x.mtz", unique_hkl, [("F", "F", f), ("SIGF", "Q", f / 10)])


@pytest.mark.parametrize("symbol", [b"No.19", b"P2(1)2(1)2(1)", b"19", b"p212121"])
def test_mtz_symbol_in_another_notation(mtz: Path, symbol: bytes) -> None:
    content = mtz.read_bytes()
    at = content.index(b"SYMINF")
    record = content[at : at + 80].replace(b"'P 21 21 21'", b"'" + symbol + b"'")
    mtz.write_bytes(content[:at] + record.strip().ljust(80) + content[at + 80 :])
    assert read_crystal(mtz).space_group.xhm() == "P 21 21 21"


def test_mtz_symbol_unknown(mtz: Path) -> None:
    content = mtz.read_bytes()
    mtz.write_bytes(content.replace(b"'P 21 21 21'", b"'made up'   "))
    data = read_crystal(mtz)
    assert data.space_group.xhm() == "P 21 21 21"
    assert "symbol 'made up' is not understood" in data.warnings[0]
    assert "taken from the file's operators" in data.warnings[1]


def test_mtz_number_alone(mtz: Path) -> None:
    content = mtz.read_bytes()
    mtz.write_bytes(content.replace(b"'P 21 21 21'", b"'?'         ").replace(b"SYMM ", b"XXXX "))
    data = read_crystal(mtz)
    assert data.space_group.xhm() == "P 21 21 21"
    assert data.warnings == ("space group P 21 21 21 taken from the file's number",)


def test_mtz_without_any_statement_that_can_be_read(mtz: Path) -> None:
    content = mtz.read_bytes().replace(b"'P 21 21 21'", b"'made up'   ")
    content = content.replace(b"SYMM ", b"XXXX ").replace(b"P    19", b"P     0")
    mtz.write_bytes(content)
    with pytest.raises(InputError, match=r"no space group .*'made up' is not understood"):
        read_crystal(mtz)
