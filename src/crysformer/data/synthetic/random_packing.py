"""Several copies of a molecule in one P1 cell, at random and without close contacts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from crysformer.data.recipe import Recipe
from crysformer.data.synthetic.fitted_cells import order_extents
from crysformer.peptide.rotations import rotation_matrices

_RELAXATION_STEPS = 60
_MARGIN = 0.05  # A beyond the smallest contact that relaxation aims for
_ROTATION_STEP, _SHIFT_STEP = 0.05, 0.2  # step widths: quaternion components, A
#: Packing starts from this volume for each atom, A^3 (peptide crystals without solvent have 16),
#: or from this fraction of the summed volumes of the single cells, if that is more.
_START_VOLUME, _START_FRACTION = 17.0, 0.5
#: Relaxation is given up if a contact is below this fraction of the smallest allowed after so
#: many steps.
_CHECK_STEP, _GIVE_UP_CONTACT = 20, 0.5
#: Molecules with a contact below this fraction of the smallest allowed after relaxation are
#: entangled, not only packed tightly.
_ENTANGLED_CONTACT = 0.75
#: Attempts before a given cell grows.
_TRIES = 10


@dataclass(frozen=True, eq=False)
class PackedCopies:
    """Copies of a molecule packed into a P1 cell.

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
) -> PackedCopies:
    """Pack copies of a molecule into one cell by random starts and rigid-body relaxation.

    Each copy has a random orientation and position. Contacts nearer than `recipe.min_contact`,
    between copies and between lattice images, push the copies apart (gradient descent on the
    squared shortfalls); while some remain, all edges grow by `recipe.edge_step`, which is the
    recipe's rule for one molecule.

    Parameters
    ----------
    xyz
        The molecule, any origin, shape (N, 3), A.
    copies
        Number of copies, M.
    lengths
        Edges of a single molecule's cell if `tight` (the search starts from the shape of as many
        of them stacked, made smaller), else of the cell itself, shape (3,), A.
    recipe
        Smallest contact and growth.
    rng
        Source of orientations and positions.
    tight
        True for a fitted cell; False for a given one, which grows only if the copies do not fit.
    """
    edges = torch.from_numpy(np.array(lengths, dtype=np.float64))
    if tight:
        edges = torch.from_numpy(stacked_edges(lengths, copies))
        start = max(_START_VOLUME * copies * len(xyz) / float(edges.prod()), _START_FRACTION)
        edges = edges * start ** (1 / 3)
    edges = edges.clamp_min(2 * (recipe.min_contact + _MARGIN) + _MARGIN)
    molecule = torch.from_numpy(order_extents(torch.from_numpy(xyz)[None])[0].numpy())
    molecule = molecule - molecule.mean(0)
    quaternion = torch.from_numpy(rng.standard_normal((copies, 4)))
    quaternion = torch.nn.functional.normalize(quaternion, dim=1)
    place = torch.from_numpy(rng.uniform(size=(copies, 3)))
    for attempt in itertools.count(1):
        placed, quaternion, place = _relax(molecule, quaternion, place, edges, recipe.min_contact)
        (first, second, _), distance = _contacts(placed, edges, recipe.min_contact)
        if not len(distance):
            break
        if float(distance.min()) < _ENTANGLED_CONTACT * recipe.min_contact:
            # Relaxation does not separate molecules that thread each other: restart one of them.
            clashes = torch.bincount(torch.cat((first, second)) // len(xyz), minlength=copies)
            worst = int(clashes.argmax())
            drawn = torch.from_numpy(rng.standard_normal(4))
            quaternion[worst] = torch.nn.functional.normalize(drawn, dim=0)
            place[worst] = torch.from_numpy(rng.uniform(size=3))
        if tight or attempt % _TRIES == 0:
            edges = edges + recipe.edge_step
    centred = placed - placed.mean((0, 1)) + edges / 2
    return PackedCopies(centred.numpy(), edges.numpy())


def _contacts(
    xyz: Tensor, lengths: Tensor, reach: float
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Pairs of atoms of different molecules within `reach`: (atoms, atoms, shifts), distances.

    Every edge must be longer than twice the reach: then at most one image of a pair is within
    it, which a periodic search tree finds.
    """
    if not bool((lengths > 2 * reach).all()):
        raise ValueError(f"edges {lengths.tolist()} are too short for contacts of {reach} A")
    atoms = xyz.detach().reshape(-1, 3)
    box = lengths.numpy()
    wrapped = np.mod(atoms.numpy(), box)
    wrapped[wrapped >= box] = 0.0  # the remainder of a small negative number can round to the edge
    pairs = cKDTree(wrapped, boxsize=box).query_pairs(reach, output_type="ndarray")
    first, second = torch.from_numpy(pairs.astype(np.int64)).T
    shift = torch.round((atoms[first] - atoms[second]) / lengths) * lengths
    n = xyz.shape[1]
    other = (first // n != second // n) | shift.any(dim=1)
    first, second, shift = first[other], second[other], shift[other]
    return (first, second, shift), (atoms[first] - atoms[second] - shift).norm(dim=1)


def _relax(
    molecule: Tensor, quaternion: Tensor, place: Tensor, lengths: Tensor, contact: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Push copies apart until no contact is shorter than `contact`, at most a number of steps."""
    q = quaternion.clone().requires_grad_()
    centre = (place * lengths).requires_grad_()
    optimiser = torch.optim.Adam(
        [{"params": [q], "lr": _ROTATION_STEP}, {"params": [centre], "lr": _SHIFT_STEP}]
    )
    for step in range(_RELAXATION_STEPS + 1):
        unit = torch.nn.functional.normalize(q, dim=1)
        xyz = molecule @ rotation_matrices(unit).mT + centre[:, None]
        (first, second, shift), distance = _contacts(xyz, lengths, contact + _MARGIN)
        nearest = min([contact, *distance.tolist()])
        given_up = step == _CHECK_STEP and nearest < _GIVE_UP_CONTACT * contact
        if nearest >= contact or given_up or step == _RELAXATION_STEPS:
            break
        atoms = xyz.reshape(-1, 3)
        apart = (atoms[first] - atoms[second] - shift).square().sum(1).clamp_min(1e-6).sqrt()
        optimiser.zero_grad()
        (contact + _MARGIN - apart).square().sum().backward()
        optimiser.step()
    fraction = (centre.detach() / lengths) % 1.0
    q = torch.nn.functional.normalize(q.detach(), dim=1)
    return molecule @ rotation_matrices(q).mT + (fraction * lengths)[:, None], q, fraction
