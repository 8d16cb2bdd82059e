"""Several copies of a molecule in one P1 cell, at random and without close contacts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.data.cells import order_axes
from crysformer.data.recipe import Recipe
from crysformer.data.tensors import rotation_matrices

_RELAXATION_STEPS = 60
_MARGIN = 0.05  # A beyond the smallest contact that relaxation aims for
_TURN, _MOVE = 0.05, 0.2  # step widths: quaternion components, A
#: Packing starts from this volume for each atom, A^3 (peptide crystals without solvent have 16),
#: or from this share of the volume that the copies have alone, if that is more.
_START_VOLUME, _START_SHARE = 17.0, 0.5
#: After so many steps a contact below this share of the smallest allowed is given up.
_HOPELESS_STEPS, _HOPELESS = 20, 0.5


@dataclass(frozen=True, eq=False)
class Packing:
    """Copies in their cell.

    Attributes
    ----------
    xyz
        Orthogonal coordinates, whole molecules, shape (M, N, 3), A.
    lengths
        Cell edges a >= b >= c, all angles 90 degrees, shape (3,), A.
    """

    xyz: NDArray[np.float64]
    lengths: NDArray[np.float64]


def stacked_edges(lengths: NDArray[np.float64], copies: int) -> NDArray[np.float64]:
    """Edges a >= b >= c of the box of `copies` single cells (3,), stacked along the shortest."""
    edges = np.array(lengths, dtype=np.float64)
    for factor in (2, 2) if copies == 4 else (copies,):
        edges[np.argmin(edges)] *= factor
    return -np.sort(-edges)


def pack(
    xyz: NDArray[np.float64],
    copies: int,
    lengths: NDArray[np.float64],
    recipe: Recipe,
    rng: np.random.Generator,
    tight: bool = True,
) -> Packing:
    """Put copies of a molecule into one cell by random starts and rigid-body relaxation.

    Each copy has a random orientation and place. Contacts nearer than `recipe.min_contact`,
    between copies and between lattice images, push the copies apart (gradient descent on the
    squared shortfalls); while some remain, all edges grow by `recipe.edge_step`, which is the
    recipe's rule for one molecule.

    Parameters
    ----------
    xyz
        The molecule, any origin, shape (N, 3), A.
    copies
        How many, M.
    lengths
        Edges of a single molecule's cell if `tight` (the search starts from the shape of as many
        of them stacked, made smaller), else of the cell itself, shape (3,), A.
    recipe
        Smallest contact and growth.
    rng
        Of orientations and places.
    tight
        Whether the cell is fitted, or given and grown only if the copies do not fit into it.
    """
    edges = torch.from_numpy(np.array(lengths, dtype=np.float64))
    if tight:
        edges = torch.from_numpy(stacked_edges(lengths, copies))
        start = max(_START_VOLUME * copies * len(xyz) / float(edges.prod()), _START_SHARE)
        edges = (edges * start ** (1 / 3)).clamp_min(recipe.min_contact)
    molecule = torch.from_numpy(order_axes(torch.from_numpy(xyz)[None])[0].numpy())
    molecule = molecule - molecule.mean(0)
    quaternion = torch.from_numpy(rng.standard_normal((copies, 4)))
    quaternion = torch.nn.functional.normalize(quaternion, dim=1)
    place = torch.from_numpy(rng.uniform(size=(copies, 3)))
    while True:
        placed, quaternion, place = _relax(molecule, quaternion, place, edges, recipe.min_contact)
        if smallest_contact(placed, edges, recipe.min_contact) >= recipe.min_contact:
            break
        edges = edges + recipe.edge_step
    centred = placed - placed.mean((0, 1)) + edges / 2
    return Packing(centred.numpy(), edges.numpy())


def smallest_contact(xyz: Tensor, lengths: Tensor, reach: float) -> float:
    """Smallest distance between atoms of different molecules of the crystal, up to `reach`.

    Parameters
    ----------
    xyz
        Copies in the cell, shape (M, N, 3), A.
    lengths
        Cell edges, right angles, shape (3,), A.
    reach
        Farther contacts are not looked for, A.
    """
    return min([reach, *(float(d.amin().sqrt()) for d in _squared(xyz, lengths, reach))])


def _squared(xyz: Tensor, lengths: Tensor, reach: float) -> list[Tensor]:
    """Squared distances between atoms of different molecules that may be within `reach`.

    Of two copies the nearest images are enough, which rounding finds in a cell of right angles; a
    copy and its own images are compared for each neighbour that its extent can touch.
    """
    found = []
    for first, second in itertools.combinations(xyz, 2):
        difference = first[:, None] - second[None]
        difference = difference - lengths * torch.round(difference / lengths)
        found.append(difference.square().sum(-1))
    extent = (xyz.amax(1) - xyz.amin(1)).detach()
    # An oblique molecule may be longer than an edge: then not only the next cells can touch it.
    reached = torch.ceil((extent.amax(0) + reach) / lengths).long().tolist()
    for n in itertools.product(*(range(-most, most + 1) for most in reached)):
        if n <= (0, 0, 0):  # one of each pair +-n
            continue
        shift = lengths * lengths.new_tensor(n)
        gap = (shift.abs() - extent).clamp_min(0).square().sum(1)
        near = (gap < reach**2).nonzero()[:, 0]
        if len(near):
            copies = xyz[near]
            found.append((copies[:, :, None] - copies[:, None] + shift).square().sum(-1))
    return found


def _relax(
    molecule: Tensor, quaternion: Tensor, place: Tensor, lengths: Tensor, contact: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Push copies apart until none is nearer than `contact`, or for a number of steps."""
    q = quaternion.clone().requires_grad_()
    centre = (place * lengths).requires_grad_()
    optimiser = torch.optim.Adam([{"params": [q], "lr": _TURN}, {"params": [centre], "lr": _MOVE}])
    for step in range(_RELAXATION_STEPS + 1):
        unit = torch.nn.functional.normalize(q, dim=1)
        xyz = molecule @ rotation_matrices(unit).mT + centre[:, None]
        squared = _squared(xyz, lengths, contact + _MARGIN)
        nearest = min((float(d.detach().amin()) for d in squared), default=np.inf)
        hopeless = step == _HOPELESS_STEPS and nearest < (_HOPELESS * contact) ** 2
        if nearest >= contact**2 or hopeless or step == _RELAXATION_STEPS:
            break
        shortfall = torch.stack([
            (contact + _MARGIN - d.clamp_min(1e-6).sqrt()).clamp_min(0).square().sum()
            for d in squared
        ]).sum()  # fmt: skip
        optimiser.zero_grad()
        shortfall.backward()
        optimiser.step()
    fraction = (centre.detach() / lengths) % 1.0
    q = torch.nn.functional.normalize(q.detach(), dim=1)
    return molecule @ rotation_matrices(q).mT + (fraction * lengths)[:, None], q, fraction
