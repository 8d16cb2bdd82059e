"""Simulated imperfect measurements of training examples: resolution, errors, missing reflections.

The target densities stay complete and exact, so that a network learns to correct and to complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from crysformer.crystal.fourier.form_factors import element_gaussians
from crysformer.crystal.fourier.grids import (
    DIMS,
    Shape,
    d_star_sq_grid,
    half_grid_indices,
    half_grid_of,
    real_space,
)
from crysformer.crystal.resolution import within_resolution
from crysformer.data.examples.stream import Batch

_CARBON = 6
_FRACTION = {"min": 0, "max": 1}


@dataclass(frozen=True)
class AugmentationRanges:
    """Ranges of the simulated imperfections, each drawn independently for every example.

    Attributes
    ----------
    exact
        Fraction of the examples that stay exact and complete.
    d_min
        Lowest resolution, A; half of the other examples are cut between the full resolution and
        this.
    amplitude_error
        Largest x of F (1 + x N(0, 1)); a quarter of the examples have no error.
    completeness
        Lowest fraction of the reflections that are measured; a third of the examples are complete,
        a third lack random reflections, a third a wedge about a random axis, as in electron
        diffraction.
    b_error
        Standard deviation, A^2, of the error of the overall B at full resolution; it grows
        threefold to the lowest.
    """

    exact: float = field(default=0.3, metadata=_FRACTION)
    d_min: float = field(default=2.5, metadata={"min": 0.5, "max": 10, "unit": "A"})
    amplitude_error: float = field(default=0.2, metadata={"min": 0, "max": 5})
    completeness: float = field(default=0.6, metadata=_FRACTION)
    b_error: float = field(default=1.5, metadata={"min": 0, "max": 1000, "unit": "A^2"})


def measured_batch(
    batch: Batch, ranges: AugmentationRanges, d_min: float, b_iso: float, generator: torch.Generator
) -> Batch:
    """Replace exact Patterson maps by those of simulated imperfect measurements.

    Parameters
    ----------
    batch
        Exact examples.
    ranges
        Ranges of the imperfections.
    d_min
        Resolution of the batch, A.
    b_iso
        Displacement parameter of the atoms, A^2; missing intensities are replaced by the
        expectation for such atoms.
    generator
        Random numbers, drawn on the generator's own device.

    Returns
    -------
    Batch
        The same examples with new `patterson`, and `measured`, shape (B, U, V, W // 2 + 1).
    """
    device, n = batch.patterson.device, len(batch)
    nu, nv, nw = batch.patterson.shape[-3:]
    shape: Shape = (nu, nv, nw)
    d_star_sq = d_star_sq_grid(torch.diag_embed(batch.lengths), shape)
    sphere = within_resolution(d_star_sq, d_min)
    intensity = half_grid_of(batch.patterson[:, 0].float()).real.clamp_min(0)

    def draw() -> Tensor:
        return _uniform((n, 1, 1, 1), generator, device)

    exact = draw() < ranges.exact
    coarse = ((2 * draw() - 1).clamp_min(0) * (ranges.d_min - d_min)).where(~exact, 0.0)
    x = ((4 * draw() - 1).clamp_min(0) / 3 * ranges.amplitude_error).where(~exact, 0.0)
    missing = (draw() * (1 - ranges.completeness)).where(~exact, 0.0)
    kind = (3 * draw()).floor()
    b_error = ranges.b_error * (1 + 2 * coarse / max(ranges.d_min - d_min, 1e-6))
    b_error = b_error * _normal((n, 1, 1, 1), generator, device).where(~exact, 0.0)

    error = _friedel_even(_normal(tuple(intensity.shape), generator, device))
    noisy = intensity * (1 + x * error).clamp_min(0).square()
    noisy = noisy * torch.exp(-b_error / 2 * d_star_sq)
    score = torch.where(
        kind == 1,
        _friedel_even(_uniform(tuple(intensity.shape), generator, device)),
        _tilts(batch.lengths, shape, generator) / (torch.pi / 2),
    )
    inside = within_resolution(d_star_sq, d_min + coarse)
    kept = score <= _quantiles(score, sphere & inside, 1 - missing)
    measured = sphere & inside & (kept | (kind == 0))
    expected = _falloff(d_star_sq, b_iso).square()
    mean = (noisy * measured).sum(DIMS, keepdim=True) / (expected * measured).sum(
        DIMS, keepdim=True
    ).clamp_min(1e-30)
    filled = torch.where(measured, noisy, expected * mean) * sphere
    patterson = real_space(filled.to(torch.complex64), shape)[:, None]
    return replace(batch, patterson=patterson, measured=measured)


def _normal(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def _friedel_even(values: Tensor) -> Tensor:
    """Give Friedel mates on the plane l = 0 of a half grid (B, U, V, W // 2 + 1) the same value.

    (The last plane of an even grid is outside the resolution sphere.)
    """
    plane = values[..., :1]
    mates = plane.flip(1, 2).roll((1, 1), (1, 2))
    n = values.shape[1] * values.shape[2]
    own = torch.arange(n, device=values.device).reshape(1, values.shape[1], values.shape[2], 1)
    first = own <= own.flip(1, 2).roll((1, 1), (1, 2))
    return torch.cat((torch.where(first, plane, mates), values[..., 1:]), dim=-1)


def _tilts(lengths: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """Tilt (0 to pi/2) at which each reflection is excited, half grid; random axis and beam."""
    axis, other = _normal((len(lengths), 3, 2), generator, lengths.device).to(lengths).unbind(2)
    # Gram and Schmidt by hand: a batched QR factorisation is a loop over matrices on a GPU
    axis = axis / torch.linalg.vector_norm(axis, dim=1, keepdim=True)
    other = other - (axis * other).sum(dim=1, keepdim=True) * axis
    other = other / torch.linalg.vector_norm(other, dim=1, keepdim=True)
    beam = torch.linalg.cross(axis, other)
    h, k, l = half_grid_indices(shape, lengths.device)  # noqa: E741
    grid = torch.stack(torch.meshgrid(h, k, l, indexing="ij"), dim=-1).to(lengths)
    s = grid / lengths[:, None, None, None, :]
    along_beam, along_other = (torch.einsum("buvwx,bx->buvw", s, v) for v in (beam, other))
    return torch.atan2(along_beam.abs(), along_other.abs())


def _quantiles(score: Tensor, among: Tensor, fraction: Tensor) -> Tensor:
    """Quantiles (B, 1, 1, 1) of the scores inside a mask, at the fractions (B, 1, 1, 1)."""
    ordered = torch.where(among, score, torch.inf).flatten(1).sort(dim=1).values
    count = among.flatten(1).sum(1, keepdim=True)
    rank = (fraction.flatten(1) * count).round().long().clamp(min=1) - 1
    return ordered.gather(1, rank).reshape(-1, 1, 1, 1)


def _falloff(d_star_sq: Tensor, b_iso: float) -> Tensor:
    """Scattering factor of a carbon atom with this B, electrons."""
    _, a, b = element_gaussians((_CARBON,), "xray", torch.float32, d_star_sq.device)
    return torch.exp(-d_star_sq[..., None] * (b[0] + b_iso) / 4) @ a[0]
