"""Structure factors of P1 cell contents by direct summation, batched and differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.crystal.fourier.atom_batch import AtomBatch
from crysformer.crystal.fourier.form_factors import (
    form_factors,
    gaussians,
    require_known,
)
from crysformer.crystal.fourier.orthogonal_cells import (
    index_limits,
    on_half_grid,
    orthogonal_grid,
    outer,
)
from crysformer.crystal.fourier.precision import without_autocast
from crysformer.crystal.fourier.recomputation import recomputed
from crysformer.crystal.reflections import Radiation
from crysformer.crystal.resolution import within_resolution

__all__ = [
    "AtomBatch",
    "reciprocal_metric",
    "separable_sum",
    "structure_factor_grid",
    "structure_factors",
]

# Largest number of (atom, reflection) pairs held at once: about 100 MB of float32 temporaries.
_MAX_PAIRS = 2**22


def reciprocal_metric(orth: Tensor) -> Tensor:
    """Reciprocal metric tensor G* of orthogonalisation matrices, (..., 3, 3): 1/d^2 = h G* h."""
    # inv_ex does not wait for the device to look for singular matrices; in bfloat16 the product
    # would be wrong by up to 1 %
    with without_autocast(orth.device):
        inverse = torch.linalg.inv_ex(orth).inverse
        return inverse @ inverse.mT


def structure_factors(
    atoms: AtomBatch, orth: Tensor, hkl: Tensor, radiation: Radiation = "xray"
) -> Tensor:
    """Structure factors of listed reflections: F(h) = sum_j q_j f_j T_j exp(+2 pi i h.x_j).

    Any cell; memory is bounded by working through the reflections in pieces, also in the backward
    pass. Differentiable in coordinates, B and occupancy.

    Parameters
    ----------
    atoms
        All atoms of each cell (P1 contents).
    orth
        Orthogonalisation matrices (Cartesian = orth @ fractional, A), shape (B, 3, 3) or (3, 3).
    hkl
        Miller indices, shape (H, 3), integer.
    radiation
        Which scattering factors.

    Returns
    -------
    Tensor
        Complex, shape (B, H), electrons (X-rays) or A (electrons).

    Raises
    ------
    InputError
        If an element has no scattering factor.
    """
    dtype, device = atoms.frac.dtype, atoms.frac.device
    require_known(atoms.number[atoms.occupancy != 0], radiation)
    elements, row = torch.unique(atoms.number, return_inverse=True)
    a, b = (table[elements] for table in gaussians(radiation, dtype, device))
    metric = reciprocal_metric(orth.to(device=device, dtype=dtype))
    indices = hkl.to(device=device, dtype=dtype)

    def summed(frac: Tensor, b_iso: Tensor, occupancy: Tensor, part: Tensor) -> Tensor:
        d_star_sq = torch.einsum("hi,...ij,hj->...h", part, metric, part)
        f = form_factors(a, b, d_star_sq).expand(len(frac), -1, -1)
        per_atom = torch.gather(f, 1, row[:, :, None].expand(-1, -1, len(part)))
        damping = torch.exp(-0.25 * b_iso[:, :, None] * d_star_sq.reshape(-1, 1, len(part)))
        amplitude = occupancy[:, :, None] * per_atom * damping
        angle = 2 * math.pi * (frac @ part.mT)
        return torch.complex(
            (amplitude * torch.cos(angle)).sum(1), (amplitude * torch.sin(angle)).sum(1)
        )

    needs_grad = torch.is_grad_enabled() and any(
        t.requires_grad for t in (atoms.frac, atoms.b_iso, atoms.occupancy)
    )
    tensors = (atoms.frac, atoms.b_iso, atoms.occupancy)
    parts = indices.split(max(1, _MAX_PAIRS // max(1, atoms.number.numel())))
    if needs_grad and len(parts) > 1:
        sums = [recomputed(summed, *tensors, part) for part in parts]
    else:
        sums = [summed(*tensors, part) for part in parts]
    return torch.cat(sums, dim=1)


def structure_factor_grid(
    atoms: AtomBatch,
    orth: Tensor,
    shape: tuple[int, int, int],
    d_min: float,
    radiation: Radiation = "xray",
) -> Tensor:
    """Structure factors on the half reciprocal grid of a map, zero beyond `d_min` and at F(000).

    exp(2 pi i h.x) is a product of one factor an axis, and in an orthogonal cell so are the
    displacement factor and each Gaussian of a scattering factor: then the sum is a matrix product
    (`orthogonal_grid`). Other cells take the direct summation of `structure_factors`. Both are
    differentiable.

    Parameters
    ----------
    atoms
        All atoms of each cell (P1 contents).
    orth
        Orthogonalisation matrices, shape (B, 3, 3) or (3, 3), A.
    shape
        The map's grid (nu, nv, nw).
    d_min
        High-resolution limit, A; reflections at the limit are included.
    radiation
        Which scattering factors.

    Returns
    -------
    Tensor
        Complex, shape (B, nu, nv, nw // 2 + 1), in the layout of `torch.fft.rfftn`: index
        h mod nu, k mod nv, l >= 0.

    Raises
    ------
    InputError
        If an element has no scattering factor.
    ValueError
        If the grid is too coarse for `d_min`.
    """
    dtype, device = atoms.frac.dtype, atoms.frac.device
    orth = orth.to(device=device, dtype=dtype).expand(len(atoms.frac), 3, 3)
    edges = torch.linalg.vector_norm(orth, dim=1)
    lengths = edges.amax(0).tolist()
    limits = index_limits(lengths, d_min)
    if any(2 * limit >= n for limit, n in zip(limits, shape, strict=True)):
        raise ValueError(f"grid {shape} is too coarse for cells up to {lengths} A at {d_min} A")

    off_diagonal = orth[:, [0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]].abs().amax()
    if float(off_diagonal) < 1e-6 * min(lengths):
        present = atoms.occupancy != 0
        elements = torch.unique(atoms.number[present])
        require_known(elements, radiation)
        most = ((atoms.number == elements[:, None, None]) & present).sum(2).amax(1)
        composition = tuple(zip(elements.tolist(), most.tolist(), strict=True))
        return orthogonal_grid(atoms, edges, shape, d_min, limits, composition, radiation)

    h, k, l = (  # noqa: E741
        torch.arange(start, limit + 1, device=device)
        for start, limit in zip((-limits[0], -limits[1], 0), limits, strict=True)
    )
    metric = reciprocal_metric(orth)
    box = torch.cartesian_prod(h, k, l).to(dtype)
    d_star_sq = torch.einsum("hi,bij,hj->bh", box, metric, box)
    inside = within_resolution(d_star_sq, d_min)
    used = inside.any(0)
    values = torch.zeros(len(box), len(orth), dtype=dtype.to_complex(), device=device)
    values[used] = structure_factors(atoms, orth, box[used], radiation).mT
    values = torch.where(inside, values.mT, 0)
    return on_half_grid(values.reshape(len(orth), len(h), len(k), len(l)), shape)


def separable_sum(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Sum over n of x[b, n, i] y[b, n, j] z[b, n, k], flattened to (b, i * j * k)."""
    return (x.mT @ outer(y, z)).flatten(1)
