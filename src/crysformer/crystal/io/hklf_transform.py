"""The numbers after HKLF in a SHELX instruction file: scales, and a matrix for the indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.errors import InputError
from crysformer.wording import counted

_IDENTITY: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
#: Distance of a transformed index from a whole number by rounding of the matrix alone.
_WHOLE: Final = 0.1


@dataclass(frozen=True)
class HklfTransform:
    """Scales and matrix of HKLF.

    Attributes
    ----------
    scale
        Factor of the values and uncertainties.
    matrix
        Rows r11 r12 r13, r21 ... of the matrix by which indices are multiplied: new h = r11 h +
        r12 k + r13 l.
    sigma_scale
        Further factor of the uncertainties.
    """

    scale: float = 1.0
    matrix: tuple[float, ...] = _IDENTITY
    sigma_scale: float = 1.0


def read_hklf(words: Sequence[str]) -> HklfTransform:
    """Read ``HKLF n s r11 ... r33 wt m``, of which any number may be absent from the end.

    Raises
    ------
    ValueError
        If a word is not a number, or the matrix is incomplete or singular.
    """
    numbers = [float(word) for word in words[2:]]
    scale = numbers[0] if numbers and numbers[0] > 0 else 1.0
    given = numbers[1:10]
    if given and len(given) < 9:
        raise ValueError(f"HKLF has {counted(len(given), 'number')} of a matrix, expected nine")
    matrix = tuple(given) or _IDENTITY
    if abs(np.linalg.det(np.reshape(matrix, (3, 3)))) < 1e-6:
        raise ValueError("the matrix of HKLF is singular")
    sigma_scale = numbers[10] if len(numbers) > 10 and numbers[10] > 0 else 1.0
    return HklfTransform(scale, matrix, sigma_scale)


def transform_indices(
    hkl: NDArray[np.int32], transform: HklfTransform, source: str
) -> tuple[NDArray[np.int32], NDArray[np.bool_], list[str]]:
    """Multiply Miller indices by the matrix of HKLF.

    Parameters
    ----------
    hkl
        Shape (n, 3).
    transform
        Scales and matrix.
    source
        The file, for messages.

    Returns
    -------
    hkl, keep, notes
        The new indices of the rows that have whole ones, the flags of those rows, shape (n,), and
        what was done.

    Raises
    ------
    InputError
        If hardly any reflection has whole indices.
    """
    everything = np.ones(len(hkl), dtype=bool)
    if transform.matrix == _IDENTITY:
        return hkl, everything, []
    exact = hkl @ np.reshape(transform.matrix, (3, 3)).T
    keep = (np.abs(exact - np.round(exact)) < _WHOLE).all(axis=1)
    if not keep.any():
        raise InputError(
            f"{source}: the matrix of HKLF gives no reflection whole Miller indices; correct it"
        )
    words = " ".join(f"{x:g}" for x in transform.matrix)
    notes = [f"indices are transformed by the matrix of HKLF ({words})"]
    if not keep.all():
        notes.append(
            counted(
                int((~keep).sum()),
                "reflection without whole indices after that is not used",
                "reflections without whole indices after that are not used",
            )
        )
    return np.round(exact[keep]).astype(np.int32), keep, notes
