"""Windows of residues along a chain."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from crysformer.data.dataset.standardise import FAULTS, Chain


def window_starts(
    chain: Chain, n_residues: int, stride: int, discards: Counter[str]
) -> NDArray[np.int64]:
    """Start positions of usable windows of `n_residues` residues along a chain.

    Every window whose residues are all usable and peptide-bonded to each other is a candidate.
    Along each unbroken segment the first candidate is taken and then every `stride`-th, so that
    two windows of a chain share at most ``n_residues - stride`` residues.

    Parameters
    ----------
    discards
        Counts, over all positions along the chain, the windows lost to a faulty residue (by the
        first fault inside), to a chain break, and left out by the stride.

    Returns
    -------
    Start positions, shape (m,), increasing.
    """
    n = len(chain.code) - n_residues + 1
    if n <= 0:
        return np.zeros(0, dtype=np.int64)
    faults = np.lib.stride_tricks.sliding_window_view(chain.fault, n_residues)
    faulty = faults.any(axis=1)
    if faulty.any():
        first = faults[np.arange(n), (faults > 0).argmax(axis=1)]
        for fault, count in enumerate(np.bincount(first[faulty], minlength=len(FAULTS))):
            if count:
                discards[FAULTS[fault].replace("residue_", "window_with_residue_", 1)] += int(count)
    bonds = np.lib.stride_tricks.sliding_window_view(chain.bonded, n_residues - 1)
    broken = np.logical_not(bonds.all(axis=1))
    discards["window_across_chain_break"] += int((broken & ~faulty).sum())
    usable = np.logical_not(broken | faulty)
    starts = _every(usable, stride)
    discards["window_left_out_by_stride"] += int(usable.sum()) - len(starts)
    return starts


def _every(usable: NDArray[np.bool_], stride: int) -> NDArray[np.int64]:
    """Every `stride`-th position of each run of true values."""
    positions = np.flatnonzero(usable)
    if len(positions) == 0:
        return positions
    run_begins = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) > 1)
    begin = np.repeat(positions[run_begins], np.diff(run_begins, append=len(positions)))
    return positions[(positions - begin) % stride == 0]
