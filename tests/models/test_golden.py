"""The shipped network computes what it computed when it was released."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import pearson
from crysformer.models.crysformer import CrysFormer
from crysformer.models.weights import load_weights

WEIGHTS = "dipeptide-robust"
SHAPE = (16, 12, 8)
EDGES = (11.5, 8.6, 5.9)
GRID = (-3, -2, -1)

#: mean absolute value, standard deviation, minimum, maximum (e/A^3) and PC to the true density
STATISTICS = {
    "first": (0.26226, 0.33993, -0.33688, 1.3178, 0.62927),
    "recycled": (0.24746, 0.33993, -0.26817, 1.4754, 0.58006),
    "incomplete": (0.26169, 0.33993, -0.33288, 1.3781, 0.61905),
}
#: densities, e/A^3, at `VOXELS`
VOXELS = ((0, 0, 0), (8, 6, 4), (5, 6, 3), (10, 4, 4), (3, 9, 7))
VALUES = {
    "first": (-0.30335, 1.2549, 0.90189, 0.66554, -0.24942),
    "recycled": (-0.25759, 1.0631, 0.71257, 0.82984, -0.22367),
    "incomplete": (-0.31324, 1.2676, 0.8456, 0.7007, -0.26662),
}


def true_density() -> Tensor:
    """Fourier synthesis of 14 point atoms about the cell centre, damped, to 1.5 A; no F(000)."""
    n = torch.arange(1, 15, dtype=torch.float64)
    # fractions of multiples of irrational numbers: scattered, and the same on every machine
    scattered = torch.stack([(n * math.sqrt(p)) % 1 for p in (2, 3, 5)], dim=1)
    atoms = 0.5 + 0.6 * (scattered - scattered.mean(0))
    h, k, l = torch.meshgrid(  # noqa: E741
        torch.fft.fftfreq(SHAPE[0], 1 / SHAPE[0], dtype=torch.float64),
        torch.fft.fftfreq(SHAPE[1], 1 / SHAPE[1], dtype=torch.float64),
        torch.fft.rfftfreq(SHAPE[2], 1 / SHAPE[2], dtype=torch.float64),
        indexing="ij",
    )
    d_star_sq = (h / EDGES[0]) ** 2 + (k / EDGES[1]) ** 2 + (l / EDGES[2]) ** 2
    phase = -2 * math.pi * (torch.stack((h, k, l), dim=-1) @ atoms.T)
    F = 6.5 * torch.polar(torch.ones_like(phase), phase).sum(-1) * torch.exp(-7 * d_star_sq)
    F = F * ((d_star_sq > 0) & (d_star_sq <= 1.5**-2))
    volume = math.prod(EDGES)
    density = torch.fft.irfftn(F, s=SHAPE, dim=GRID) * math.prod(SHAPE) / volume
    return density[None, None].float()


@pytest.fixture(scope="module")
def network() -> CrysFormer:
    return load_weights(WEIGHTS).model


@pytest.fixture(scope="module")
def predictions(network: CrysFormer) -> dict[str, Tensor]:
    """Predictions with all reflections, with an estimate, and with missing reflections."""
    density = true_density()
    lengths = torch.tensor([EDGES])
    volume, voxels = math.prod(EDGES), math.prod(SHAPE)
    intensity = torch.fft.rfftn(density, dim=GRID).abs().square()
    patterson = torch.fft.irfftn(intensity, s=SHAPE, dim=GRID) * volume / voxels
    residues = torch.tensor([[5, 13]])
    number = torch.arange(intensity.numel()).reshape(intensity.shape)[:, 0]
    measured = (number % 5 > 0) & network.scaling.sphere(lengths, SHAPE)  # type: ignore[operator]
    with torch.no_grad():
        first = network(patterson, residues, lengths)
        return {
            "first": first,
            "recycled": network(patterson, residues, lengths, first),
            "incomplete": network(patterson, residues, lengths, measured=measured),
        }


def statistics(density: Tensor) -> tuple[float, ...]:
    numbers = (density.abs().mean(), density.std(), density.min(), density.max())
    return (*map(float, numbers), float(pearson(density, true_density())[0]))


@pytest.mark.parametrize("kind", ["first", "recycled", "incomplete"])
def test_predictions_of_the_shipped_weights(predictions: dict[str, Tensor], kind: str) -> None:
    density = predictions[kind]
    assert density.shape == (1, 1, *SHAPE)
    assert density.dtype == torch.float32
    found = tuple(float(density[0, 0, u, v, w]) for u, v, w in VOXELS)
    spread = float(density.std())
    assert statistics(density) == pytest.approx(STATISTICS[kind], rel=1e-3)
    assert found == pytest.approx(VALUES[kind], rel=1e-3, abs=1e-3 * spread)
