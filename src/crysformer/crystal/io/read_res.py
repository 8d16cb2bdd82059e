"""Reading of the atoms of a SHELX .res file that this package wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.errors import InputError
from crysformer.file_content import read_content

_B_PER_U: Final = 8 * math.pi**2
_FIXED: Final = 10.0  # added to an occupancy that is not refined


@dataclass(frozen=True, eq=False)
class ResAtoms:
    """Atoms of a .res file.

    Attributes
    ----------
    element
        Symbols.
    frac
        Fractional coordinates, shape (n, 3).
    b_iso, occupancy
        B, A^2, and occupancy, shape (n,).
    """

    element: tuple[str, ...]
    frac: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    occupancy: NDArray[np.float64]


def read_res_atoms(path: str | Path) -> ResAtoms:
    """Read the atoms that `crysformer.crystal.io.shelx_res.shelx_res` wrote.

    Raises
    ------
    InputError
        If the file cannot be read or is no such file.
    """
    text = read_content(path, "atoms in SHELX format").decode("ascii", errors="replace")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    kinds = [words[1:] for words in lines if words[0] == "SFAC"]
    start = next((i + 1 for i, words in enumerate(lines) if words[0] == "FVAR"), None)
    end = next((i for i, words in enumerate(lines) if words[0] == "HKLF"), None)
    if len(kinds) != 1 or start is None or end is None:
        raise InputError(f"{path}: expected SFAC, FVAR, atoms and HKLF, as in an atoms.res")
    elements, rows = [], []
    for words in lines[start:end]:
        try:
            elements.append(kinds[0][int(words[1]) - 1])
            x, y, z, occupancy, u = (float(word) for word in words[2:7])
        except (ValueError, IndexError):
            found = " ".join(words)[:60]
            raise InputError(f"{path}: {found!r} is not an atom of an atoms.res") from None
        rows.append((x, y, z, _B_PER_U * u, occupancy - _FIXED))
    values = np.array(rows, dtype=np.float64).reshape(-1, 5)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: an atom has a value that is not a number")
    return ResAtoms(tuple(elements), values[:, :3], values[:, 3], values[:, 4])
