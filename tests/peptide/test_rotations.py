"""Rotations: superposition of atoms."""

from __future__ import annotations

import torch

from crysformer.peptide.rotations import random_rotations, superpose


def test_superposition_undoes_a_motion() -> None:
    generator = torch.Generator().manual_seed(0)
    xyz = torch.randn(7, 3, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    turn = turn * torch.sign(torch.linalg.det(turn))
    moved = xyz @ turn.mT + torch.tensor([1.0, -2.0, 3.0])
    found, shift = superpose(xyz, moved)
    torch.testing.assert_close(found, turn, atol=1e-5, rtol=0)
    torch.testing.assert_close(xyz @ found.mT + shift, moved, atol=1e-5, rtol=0)


def test_batches_are_superposed_one_by_one() -> None:
    generator = torch.Generator().manual_seed(1)
    xyz = torch.randn(5, 8, 3, generator=generator)
    rotation, shift = random_rotations(5, generator), torch.randn(5, 3, generator=generator)
    moved = xyz @ rotation.mT + shift[:, None]
    moved += 0.01 * torch.randn(moved.shape, generator=generator)
    together = superpose(xyz, moved)
    assert [x.shape for x in together] == [(5, 3, 3), (5, 3)]
    torch.testing.assert_close(together[0], rotation, atol=0.03, rtol=0)
    for i in range(5):
        one = superpose(xyz[i], moved[i])
        torch.testing.assert_close(together[0][i], one[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together[1][i], one[1], atol=1e-5, rtol=0)
