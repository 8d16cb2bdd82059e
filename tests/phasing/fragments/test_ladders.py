"""The library of two-strand ladders."""

from __future__ import annotations

import numpy as np

from crysformer.phasing.fragments.ladders import ATOMS, ladder_fragments


def test_ladders_are_pairs_of_antiparallel_strands_of_l_residues() -> None:
    ladders = ladder_fragments()
    assert len(ladders) == 80
    for ladder in ladders:
        assert (ladder.kind, ladder.n_residues) == ("ladder", 6)
        np.testing.assert_array_equal(ladder.number, np.tile(list(ATOMS.values()), 6))
        np.testing.assert_allclose(ladder.xyz.mean(axis=0), 0, atol=1e-6)
        n, ca, c, o, cb = ladder.xyz.reshape(2, 3, 5, 3).transpose(2, 0, 1, 3)
        # an L residue: (N - CA) . (C - CA) x (CB - CA) is positive
        volume = ((n - ca) * np.cross(c - ca, cb - ca)).sum(-1)
        assert volume.min() > 2.0
        along = ca[:, -1] - ca[:, 0]
        assert along[0] @ along[1] < 0
        between = np.linalg.norm(ca[0] - ca[1, ::-1], axis=-1)
        assert between.min() > 3.8
        assert between.max() < 6.2
        bonds = [np.linalg.norm(n[i][:, None] - o[1 - i], axis=-1) for i in (0, 1)]
        assert sum(int((x < 3.3).sum()) for x in bonds) >= 2


def test_no_two_ladders_are_alike() -> None:
    """Ladders within 0.5 A of one are covered, but may still cover most of what remains."""
    nearest = np.inf
    xyz = [ladder.xyz for ladder in ladder_fragments()[:20]]
    for i, one in enumerate(xyz):
        for other in xyz[:i]:
            for strands in (other, np.concatenate((other[15:], other[:15]))):
                u, s, v = np.linalg.svd(one.T @ strands)
                s[-1] *= np.sign(np.linalg.det(u @ v))
                square = (one**2).sum() + (strands**2).sum() - 2 * s.sum()
                nearest = min(nearest, np.sqrt(square / len(one)))
    assert nearest > 0.3
