"""A random crystal."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

GRID = (-3, -2, -1)


@pytest.fixture
def crystal() -> tuple[Tensor, Tensor]:
    """A density without F(000) and Nyquist terms, and its Patterson map."""
    generator = torch.Generator().manual_seed(1)
    F = torch.fft.rfftn(torch.rand(1, 1, 10, 9, 8, generator=generator), dim=GRID)
    F[..., 0, 0, 0] = 0
    F[..., 5, :, :], F[..., -1] = 0, 0
    density = torch.fft.irfftn(F, s=(10, 9, 8), dim=GRID)
    patterson = torch.fft.irfftn(F.abs().square() + 0j, s=(10, 9, 8), dim=GRID)
    return density, patterson
