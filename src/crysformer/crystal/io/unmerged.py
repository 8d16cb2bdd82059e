"""Refusal of unmerged measurements in formats for merged reflections."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.errors import InputError

#: Rows that repeat an index by mistake are fewer than this fraction, and this many.
_FEW, _SOME = 0.02, 10
#: What to do with measurements that are not on one scale.
ADVICE: Final = "scale and merge them first (for example with aimless or dials.merge)"


def refuse_repeated(hkl: NDArray[np.int32], source: str) -> None:
    """Refuse a list that gives the same Miller indices several times.

    Merged files list the measurement of an index, or of each Friedel mate, once. Several are
    measurements of different images, whose scales need not agree, so that their mean is not the
    merged intensity.

    Parameters
    ----------
    hkl
        Miller indices as listed, shape (n, 3).
    source
        The file, for messages.

    Raises
    ------
    InputError
        If more than a few rows repeat the indices of another one.
    """
    repeated = len(hkl) - len(np.unique(hkl, axis=0))
    if repeated > max(_FEW * len(hkl), _SOME):
        raise InputError(
            f"{source}: unmerged data ({len(hkl)} rows for {len(hkl) - repeated} different Miller "
            f"indices); {ADVICE}"
        )
