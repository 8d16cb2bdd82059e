"""Orientations: averages do not depend on them, and half grids rotate as their maps."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from crysformer.models.crysformer import CrysFormer
from crysformer.models.orientations import (
    ORIENTATIONS,
    predict_averaged,
    rotate_half_grid,
    rotate_map,
)

GRID = (-3, -2, -1)


def test_averaging_over_orientations_is_blind_to_the_orientation() -> None:
    def network(
        patterson: Tensor, _: Tensor, __: Tensor, estimate: Tensor | None, measured: None
    ) -> Tensor:
        weight = torch.linspace(0, 1, patterson.numel()).reshape(patterson.shape)
        return patterson * weight + (0 if estimate is None else estimate**2 * weight)

    model = cast(CrysFormer, network)
    patterson, estimate = torch.rand(2, 1, 1, 6, 5, 4).unbind(0)
    residues, lengths = torch.zeros(1, 2).long(), torch.ones(1, 3)
    reference = predict_averaged(model, patterson, residues, lengths, estimate)
    for axes in ORIENTATIONS:
        turned = predict_averaged(
            model, rotate_map(patterson, axes), residues, lengths, rotate_map(estimate, axes)
        )
        torch.testing.assert_close(rotate_map(turned, axes), reference)


@pytest.mark.parametrize("shape", [(10, 9, 8), (6, 8, 7)])
def test_half_grids_turn_with_their_maps(shape: tuple[int, int, int]) -> None:
    density = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(3))
    amplitude = torch.fft.rfftn(density, dim=GRID).abs()
    for axes in ORIENTATIONS:
        turned = torch.fft.rfftn(rotate_map(density, axes), dim=GRID).abs()
        torch.testing.assert_close(rotate_half_grid(amplitude, axes), turned)
