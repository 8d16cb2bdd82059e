"""P1 cells around fragments: ordered extents, centred mass, no close contacts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from crysformer.data.recipe import Recipe
from crysformer.peptide import residues

#: Lattice vectors to the neighbouring cells, one of each pair +-n. Second neighbours are never
#: nearer: an atom's own images keep every edge at `min_contact` or more.
_NEIGHBOURS = [
    (i, j, k) for i, j, k in itertools.product((-1, 0, 1), repeat=3) if (i, j, k) > (0, 0, 0)
]


def _most_pairs(device: torch.device) -> int:
    """Maximum of atom pairs times fragments held at once; on a CPU they should fit its cache."""
    return 1 << 16 if device.type == "cpu" else 1 << 22


@dataclass(frozen=True, eq=False)
class Cells:
    """Fragments in their P1 cells, all angles 90 degrees.

    Attributes
    ----------
    xyz
        Orthogonal coordinates in the cell, shape (B, N, 3), A, the centre of mass at the cell
        centre; padding atoms sit at the centre.
    lengths
        Cell edges a >= b >= c, shape (B, 3), A.
    """

    xyz: Tensor
    lengths: Tensor

    @property
    def frac(self) -> Tensor:
        """Fractional coordinates, shape (B, N, 3)."""
        return self.xyz / self.lengths[:, None, :]


def build_cells(xyz: Tensor, number: Tensor, recipe: Recipe) -> Cells:
    """Build the cell of each fragment by the recipe.

    The extents are ordered along a >= b >= c by a proper rotation (a permutation of the axes, one
    of them flipped where the permutation is odd). Fitted cells start from the extent on each axis
    (at least `recipe.min_edge`) and grow by `recipe.edge_step` on all three axes until the
    smallest contact between the fragment and its lattice images is `recipe.min_contact`. Fixed
    cells are used unchanged; `image_contacts` finds the fragments that do not fit them.

    Parameters
    ----------
    xyz
        Orthogonal coordinates, any origin and orientation, shape (B, N, 3), A.
    number
        Atomic numbers, shape (B, N); 0 marks padding. Every fragment's first atom is real.
    recipe
        The recipe.
    """
    xyz = _fill_padding(xyz, number)
    xyz = order_extents(xyz)
    extent = xyz.amax(dim=1) - xyz.amin(dim=1)
    if recipe.fixed_cell is not None:
        lengths = xyz.new_tensor(recipe.fixed_cell).expand(len(xyz), 3)
    else:
        start = extent.clamp_min(recipe.min_edge)
        lengths = start + _growth(xyz, number, start, recipe)[:, None]
    mass = _masses(xyz.dtype, xyz.device)[number.long()]
    centre = (xyz * mass[..., None]).sum(dim=1) / mass.sum(dim=1, keepdim=True)
    shifted = xyz - centre[:, None, :] + lengths[:, None, :] / 2
    real = (number > 0)[..., None]
    return Cells(torch.where(real, shifted, lengths[:, None, :] / 2), lengths)


@lru_cache(maxsize=16)
def _masses(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.as_tensor(residues.MASSES, dtype=dtype, device=device)


def order_extents(xyz: Tensor) -> Tensor:
    """Permute the axes of coordinates (B, N, 3), without a mirror, to make the extents descend."""
    extent = xyz.amax(dim=1) - xyz.amin(dim=1)
    order = extent.argsort(dim=1, descending=True, stable=True)
    ordered = xyz.gather(2, order[:, None, :].expand_as(xyz))
    i, j, k = order.unbind(dim=1)
    parity = torch.sign((j - i) * (k - i) * (k - j)).to(xyz.dtype)
    flip = torch.stack((torch.ones_like(parity), torch.ones_like(parity), parity), dim=1)
    return ordered * flip[:, None, :]


def image_contacts(xyz: Tensor, number: Tensor, lengths: Tensor, reach: float) -> Tensor:
    """Smallest distance between a fragment and its lattice images, up to `reach`.

    Parameters
    ----------
    xyz, number
        As for `build_cells`, axes along the cell edges.
    lengths
        Cell edges, shape (B, 3), A.
    reach
        Longest contact that is searched for, A.

    Returns
    -------
    Distances, shape (B,), A; `reach` where all contacts are longer.
    """
    xyz = _fill_padding(xyz, number)
    extent = xyz.amax(dim=1) - xyz.amin(dim=1)
    gap = (lengths - extent).clamp_min(0)
    nearest = torch.full_like(lengths[:, 0], reach**2)
    for n in _NEIGHBOURS:
        shift = lengths * lengths.new_tensor(n)
        near = (gap.square() * (shift != 0)).sum(dim=1) < reach**2
        rows = near.nonzero()[:, 0]
        for part in rows.split(max(1, _most_pairs(xyz.device) // xyz.shape[1] ** 2)):
            moved = xyz[part] + shift[part, None, :]
            squared = torch.zeros_like(xyz[part, :, None, 0] - moved[:, None, :, 0])
            for axis in range(3):
                squared += (xyz[part, :, None, axis] - moved[:, None, :, axis]).square()
            nearest[part] = torch.minimum(nearest[part], squared.amin(dim=(1, 2)))
    return nearest.sqrt()


def _fill_padding(xyz: Tensor, number: Tensor) -> Tensor:
    # A copy of a real atom changes neither extents nor contacts, so no masks are needed.
    return torch.where((number > 0)[..., None], xyz, xyz[:, :1])


def _growth(xyz: Tensor, number: Tensor, start: Tensor, recipe: Recipe) -> Tensor:
    """Length to add to all edges, a whole number of steps, shape (B,), A.

    Every edge is at least the extent, so each contact d + n L (n not 0) can only grow with the
    edges, and reaches r = `min_contact` at the positive root h of
    sum_i (d_i + n_i (start_i + h))^2 = r^2. The largest root over pairs and neighbours, rounded up
    to whole steps, is the same as growing step by step.
    """
    growth = torch.zeros_like(start[:, 0])
    for rows, n_atoms in _by_size((number > 0).sum(dim=1), number.shape[1]):
        x = xyz[rows, :n_atoms]
        growth[rows] = _largest_root(x, start[rows], recipe.min_contact)
    tolerance = 1e-6 if xyz.dtype == torch.float64 else 1e-4
    return torch.ceil(growth / recipe.edge_step - tolerance).clamp_min(0) * recipe.edge_step


def _largest_root(xyz: Tensor, start: Tensor, r: float) -> Tensor:
    d = [xyz[:, :, None, i] - xyz[:, None, :, i] for i in range(3)]
    # moved[i][n_i]: component i of the contact; each sum over axes below reuses them.
    moved: list[dict[int, Tensor]] = [{0: d[i]} for i in range(3)]
    squared: list[dict[int, Tensor]] = [{0: d[i].square()} for i in range(3)]
    for i in range(3):
        for n in (-1, 1):
            moved[i][n] = n * d[i] + start[:, i, None, None]
            squared[i][n] = moved[i][n].square()
    largest = torch.zeros_like(start[:, 0])
    for vector in _NEIGHBOURS:
        order = sum(abs(n) for n in vector)
        i, j, k = vector
        missing = (r**2 - squared[0][i] - squared[1][j] - squared[2][k]).clamp_min(0)
        # Along the growth: half the derivative of the squared distance, never negative.
        slope = sum(moved[axis][n] for axis, n in enumerate(vector) if n)
        root = (slope * slope + order * missing).sqrt() - slope
        largest = torch.maximum(largest, root.amax(dim=(1, 2)) / order)
    return largest


def _by_size(count: Tensor, columns: int) -> Iterator[tuple[Tensor, int]]:
    """Row numbers in chunks of similar atom count, with each chunk's largest count.

    On other devices than CPUs, all chunks have all `columns`.
    """
    most = _most_pairs(count.device)
    if count.device.type != "cpu":  # sorting saves less than waiting for the counts costs
        rows = torch.arange(len(count), device=count.device)
        yield from ((part, columns) for part in rows.split(max(1, most // columns**2)))
        return
    order = count.argsort()
    counts = count[order].tolist()
    begin = 0
    while begin < len(counts):
        end = begin + max(1, most // counts[begin] ** 2)
        end = min(end, len(counts))
        yield order[begin:end], counts[end - 1]
        begin = end
