"""The most common conformation of each residue in a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from crysformer.data.store import FragmentTable
from crysformer.peptide import residues

#: Conformers within this distance of each other count as one rotamer, A (heavy atoms but the
#: carbonyl O, whose place is set by the next residue; backbones superposed).
_SAME_ROTAMER = 0.5
_MOST_COMPARED = 4000


def most_common_conformers(table: FragmentTable, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Find the conformer of each residue with the most others within 0.5 A RMSD.

    Conformers are the first residues of the fragments, compared with N, CA, C in one frame; at
    most 4,000 of each residue, chosen at random.

    Returns
    -------
    By three-letter name: ``source`` (id of the fragment it is taken from), ``share`` (fraction
    of the conformers compared that lie within 0.5 A) and ``xyz`` (heavy atoms in the order of
    `residues.ATOMS`, A, in the frame of `backbone_frame`).
    """
    rng = np.random.default_rng(seed)
    chosen: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(residues.NAMES):
        rows = np.flatnonzero(table.codes[:, 0] == code)
        rows = np.sort(rng.permutation(rows)[:_MOST_COMPARED])
        n_atoms = residues.N_ATOMS[code]
        xyz = table.xyz[table.offset[rows][:, None] + np.arange(n_atoms)].astype(np.float64)
        local = backbone_frame(xyz)
        compared = np.delete(local, residues.ATOMS[code].index("O"), axis=1)
        flat = compared.reshape(len(rows), -1)
        near = cdist(flat, flat) < _SAME_ROTAMER * np.sqrt(compared.shape[1])
        best = int(near.sum(axis=1).argmax())
        chosen[name] = {
            "source": table.id[rows[best]],
            "share": round(float(near[best].mean()), 3),
            "xyz": np.round(local[best], 3).tolist(),
        }
    return chosen


def backbone_frame(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates (n, N, 3) with CA at the origin, C along +x, and N in the xy plane, y > 0."""
    n, ca, c = xyz[:, 0], xyz[:, 1], xyz[:, 2]
    x = (c - ca) / np.linalg.norm(c - ca, axis=1, keepdims=True)
    y = (n - ca) - np.einsum("bi,bi->b", n - ca, x)[:, None] * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    axes = np.stack((x, y, np.cross(x, y)), axis=1)
    return np.einsum("bij,bnj->bni", axes, xyz - ca[:, None])
