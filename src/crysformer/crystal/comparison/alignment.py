"""Continuous alignment of origin and hand, which amplitudes do not determine.

Two solutions of one crystal in P1 may differ by any shift of origin and by inversion. The shift
that maximises the weighted mean cosine of the phase differences,

    C(t) = sum_h w(h) cos(phi_model(h) + 2 pi h.t - phi_reference(h)) / sum_h w(h),

is found by an FFT on an oversampled grid, and refined off the grid by Newton's method. Whole voxels
alone would leave up to 20 degrees of false phase error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS, half_grid_indices, smooth_size

_OVERSAMPLING = 3  # search grid points per shortest period; 2 is Nyquist
_CANDIDATES = 6  # maxima refined, each hand
_NEWTON_STEPS = 10
_CONVERGED = 1e-4  # of a search grid point


@dataclass(frozen=True, eq=False)
class Alignment:
    """Origin shifts and hands that bring a batch of models onto their references.

    Attributes
    ----------
    shift
        Fractional, shape (B, 3), in [-0.5, 0.5): atoms move by +shift, after the inversion.
    inverted
        Whether the model is first inverted through the origin, shape (B,), bool.
    cosine
        Weighted mean cosine of the phase error after alignment, shape (B,).
    """

    shift: Tensor
    inverted: Tensor
    cosine: Tensor


def friedel_multiplicity(half_grid: Tensor) -> Tensor:
    """Multiplicity of each l of a half grid in the full sphere: (nw // 2 + 1,), 1 then 2s.

    The plane l = 0 holds both mates. Reflections are taken to lie inside the Nyquist limit.
    """
    multiplicity = half_grid.real.new_full((half_grid.shape[-1],), 2.0)
    multiplicity[0] = 1.0
    return multiplicity


def unit_phases(F: Tensor) -> Tensor:
    """exp(i phi) of `F`; zero where the phase is missing (F zero or not finite)."""
    amplitude = F.abs()
    known = torch.isfinite(amplitude) & (amplitude > 0)
    return torch.where(known, F / torch.where(known, amplitude, 1), 0)


def align(
    F_model: Tensor,
    F_reference: Tensor,
    weights: Tensor | None = None,
    try_hand: bool = True,
) -> Alignment:
    """Find the origin shift, not bound to the grid, and the hand that fit a reference best.

    Parameters
    ----------
    F_model, F_reference
        Half grids in P1, complex, shape (B, nu, nv, nw // 2 + 1). Reflections without a phase
        (zero or not finite) contribute a cosine of zero.
    weights
        Real half grid, shape (B, nu, nv, nw // 2 + 1), zero where not measured; by default
        |F_reference|^2. F(000) never counts.
    try_hand
        Also try the inverted model; it is taken only if it fits better.

    Returns
    -------
    Alignment
    """
    if weights is None:
        weights = torch.nan_to_num(F_reference.abs()) ** 2
    weights = weights.clone()
    weights[:, 0, 0, 0] = 0
    model, reference = unit_phases(F_model), unit_phases(F_reference)
    hands = torch.stack([model, model.conj()] if try_hand else [model], dim=1)
    grid = _IndexGrid(weights)
    weights = grid.crop(weights)
    coefficients = grid.crop(hands) * (weights * grid.crop(reference).conj())[:, None]
    total = (weights * friedel_multiplicity(weights)).sum((1, 2, 3)).clamp(min=1e-30)
    coefficients = coefficients / total[:, None, None, None, None]

    n_batch, n_hands = coefficients.shape[:2]
    flat = coefficients.flatten(0, 1)
    # two steps tell which maximum is the highest; only that one is refined to the end
    shift, cosine = grid.refine(flat, grid.search(flat), steps=2)
    best = cosine.argmax(1)[:, None, None].expand(-1, 1, 3)
    shift, cosine = grid.refine(flat, shift.gather(1, best), steps=_NEWTON_STEPS)
    shift, cosine = shift.reshape(n_batch, n_hands, 3), cosine.reshape(n_batch, n_hands)
    # rounding must not invert a centrosymmetric model
    margin = 1e3 * torch.finfo(cosine.dtype).eps
    inverted = cosine[:, -1] > cosine[:, 0] + margin
    rows = torch.arange(n_batch, device=shift.device)
    hand = inverted.long()
    return Alignment(
        shift=torch.remainder(shift[rows, hand] + 0.5, 1.0) - 0.5,
        inverted=inverted,
        cosine=cosine[rows, hand].clamp(max=1.0),
    )


def apply_alignment(F_model: Tensor, alignment: Alignment) -> Tensor:
    """The model's half grid, shape (B, nu, nv, nw // 2 + 1), at the reference's origin and hand."""
    F = torch.where(alignment.inverted[:, None, None, None], F_model.conj(), F_model)
    shape = (F.shape[1], F.shape[2], 2 * F.shape[3] - 1)
    waves = [
        torch.polar(torch.ones_like(angle), angle)
        for angle in (
            2 * math.pi * alignment.shift[:, i, None] * axis.to(alignment.shift.dtype)
            for i, axis in enumerate(half_grid_indices(shape, F.device))
        )
    ]
    return F * waves[0][:, :, None, None] * waves[1][:, None, :, None] * waves[2][:, None, None, :]


class _IndexGrid:
    """Smallest grid of indices that holds the measured reflections of a batch."""

    def __init__(self, weights: Tensor) -> None:
        shape = (weights.shape[1], weights.shape[2], 2 * weights.shape[3] - 1)
        measured = (weights > 0).any(0)
        self.rows: list[Tensor] = []
        self.axes: list[Tensor] = []
        sizes = []
        for i, indices in enumerate(half_grid_indices(shape, weights.device)):
            used = measured.any(dim=tuple(j for j in range(3) if j != i))
            limit = int(indices[used].abs().max()) if bool(used.any()) else 0
            rows = torch.nonzero(indices.abs() <= limit).flatten()
            self.rows.append(rows)
            self.axes.append(indices[rows].to(weights.dtype))
            sizes.append(smooth_size(max(_OVERSAMPLING * limit, 2 * limit + 2)))
        self.search_shape = sizes
        self.multiplicity = friedel_multiplicity(weights)[: len(self.rows[2])]

    def crop(self, grid: Tensor) -> Tensor:
        """The part of a half grid, shape (..., nu, nv, nw // 2 + 1), inside the grid."""
        u, v, w = self.rows
        return grid[..., u[:, None, None], v[:, None], w]

    def search(self, coefficients: Tensor) -> Tensor:
        """Fractional positions of the highest points of C on the search grid, (P, K, 3)."""
        nu, nv, nw = self.search_shape
        h, k, l = (axis.long() for axis in self.axes)  # noqa: E741
        grid = coefficients.new_zeros(len(coefficients), nu, nv, nw // 2 + 1)
        grid[:, (h % nu)[:, None, None], (k % nv)[:, None], l] = coefficients
        correlation = torch.fft.irfftn(grid, s=(nu, nv, nw), dim=DIMS)
        pooled, index = torch.nn.functional.max_pool3d(
            correlation[:, None], 2, ceil_mode=True, return_indices=True
        )
        pooled, index = pooled.flatten(1), index.flatten(1)
        highest = pooled.topk(min(_CANDIDATES, pooled.shape[1]), dim=1).indices
        voxel = torch.stack(torch.unravel_index(index.gather(1, highest), (nu, nv, nw)), dim=-1)
        return voxel / voxel.new_tensor([nu, nv, nw]).to(correlation.dtype)

    def derivatives(self, coefficients: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """C, its gradient and Hessian at positions t, (P, K, 3): (P, K), (P, K, 3), (P, K, 3, 3).

        In units of search grid points. All follow from the sums of G h^i k^j l^m exp(2 pi i h.t),
        which are contracted one axis at a time.
        """
        waves = []
        for i, (axis, n) in enumerate(zip(self.axes, self.search_shape, strict=True)):
            angle = 2 * math.pi * t[:, :, i, None] * axis
            wave = torch.polar(torch.ones_like(angle), angle)
            scaled = 2 * math.pi / n * axis
            waves.append(torch.stack([wave, wave * scaled, wave * scaled**2], dim=-1))
        waves[2] = waves[2] * self.multiplicity[:, None]
        moments = torch.einsum("phkl,pclm->pchkm", coefficients, waves[2])
        moments = torch.einsum("pchkm,pckn->pchnm", moments, waves[1])
        moments = torch.einsum("pchnm,pcho->pconm", moments, waves[0])
        first = torch.stack(
            [moments[..., 1, 0, 0], moments[..., 0, 1, 0], moments[..., 0, 0, 1]], -1
        )
        hh, hk, hl = moments[..., 2, 0, 0], moments[..., 1, 1, 0], moments[..., 1, 0, 1]
        kk, kl, ll = moments[..., 0, 2, 0], moments[..., 0, 1, 1], moments[..., 0, 0, 2]
        second = torch.stack([hh, hk, hl, hk, kk, kl, hl, kl, ll], -1)
        return moments[..., 0, 0, 0].real, -first.imag, -second.real.unflatten(-1, (3, 3))

    def refine(self, coefficients: Tensor, t: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Maximise C from t, (P, K, 3): positions (P, K, 3) and values (P, K)."""
        sizes = t.new_tensor(self.search_shape)
        value, gradient, hessian = self.derivatives(coefficients, t)
        radius = torch.ones_like(value)
        for _ in range(steps):
            eigenvalues, vectors = torch.linalg.eigh(hessian)
            curvature = eigenvalues.abs()
            floor = 1e-6 * curvature.amax(-1, keepdim=True).clamp(min=1e-20)
            along = (vectors.mT @ gradient[..., None])[..., 0] / curvature.maximum(floor)
            step = (vectors @ along[..., None])[..., 0]
            length = torch.linalg.vector_norm(step, dim=-1)
            step = step * (radius / length.clamp(min=1e-20)).clamp(max=1.0)[..., None]
            moved = t + step / sizes
            new_value, new_gradient, new_hessian = self.derivatives(coefficients, moved)
            better = new_value >= value
            t = torch.where(better[..., None], moved, t)
            value = torch.where(better, new_value, value)
            gradient = torch.where(better[..., None], new_gradient, gradient)
            hessian = torch.where(better[..., None, None], new_hessian, hessian)
            radius = torch.where(better, radius, 0.25 * radius.minimum(length))
            if float(length.minimum(radius).max()) < _CONVERGED:
                break
        return t, value
