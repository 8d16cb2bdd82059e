"""Packing of one rigid molecule in the asymmetric unit of a space group, without close contacts.

Random orientation, position and cell shape, then gradient descent on the squared shortfalls of
contacts between the molecule and its symmetry and lattice images, with the cell edges free under
a weak pressure; at last the cell grows until no contact is left.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.data.synthetic.small_molecules import SmallMolecule
from crysformer.data.synthetic.special_sites import SpecialSite
from crysformer.peptide.rotations import rotation_matrices

#: Half the least distance between atoms of different molecules, A: slightly less than the radii of
#: van der Waals, as in crystals.
_RADII = {1: 1.10, 6: 1.62, 7: 1.55, 8: 1.48, 16: 1.75, 17: 1.70}
_VOLUME = 17.0  # of each atom that is not hydrogen, at which packing begins, A^3
_RATIOS = (0.75, 1.35)  # of the edges to the cube root of the volume, before relaxation
_ANGLES = (78.0, 102.0)  # of free angles, degrees
_BETA = (92.0, 115.0)  # of monoclinic cells
_STEPS, _LIST_EVERY, _LIST_MARGIN = 150, 5, 1.0
_RATES = (0.06, 0.25, 0.008)  # quaternion components, A, logarithms of edges
_PRESSURE = 2.0  # A^2 of squared shortfall for each doubling of the volume and each atom
_GROWTH, _SETTLING = 1.01, 25  # of the edges, and steps after each growth
_TRIES = 3  # packings, of which the densest counts


@dataclass(frozen=True, eq=False)
class MolecularCrystal:
    """One molecule in the asymmetric unit.

    Attributes
    ----------
    cell, space_group
        Unit cell and space group.
    frac
        Fractional coordinates of the molecule, shape (N, 3), whole.
    """

    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    frac: NDArray[np.float64]


def pack_molecule(
    molecule: SmallMolecule,
    space_group: gemmi.SpaceGroup,
    rng: np.random.Generator,
    site: SpecialSite | None = None,
) -> MolecularCrystal:
    """Pack a molecule into a space group; the densest of several tries.

    With hydrogens 20 to 30 A^3 for each other atom, where real crystals have 18.

    Parameters
    ----------
    molecule
        The molecule.
    space_group
        Triclinic, monoclinic with unique axis b, or orthorhombic.
    rng
        Source of orientation, position and cell shape.
    site
        Symmetry element on which the molecule lies, with its own in the same place; by default it
        is at a general position.

    Raises
    ------
    ValueError
        If the crystal system is another one.
    """
    tries = [_Packing(molecule, space_group, rng, site).packed() for _ in range(_TRIES)]
    return min(tries, key=lambda crystal: float(crystal.cell.volume))


class _Packing:
    def __init__(
        self,
        molecule: SmallMolecule,
        space_group: gemmi.SpaceGroup,
        rng: np.random.Generator,
        site: SpecialSite | None,
    ) -> None:
        self.space_group = space_group
        ops = operators(space_group, centred=True)
        rotations, translations = ops.rotations.astype(np.float64), ops.translations
        if site is not None:
            rotations, translations = site.images
        self.rotations = torch.from_numpy(rotations)
        self.translations = torch.from_numpy(translations)
        self.xyz = torch.from_numpy(molecule.xyz)
        self.radii = torch.tensor([_RADII[int(z)] for z in molecule.number], dtype=torch.float64)
        self.reach = float(self.xyz.norm(dim=1).max())
        self.angles = _angles(space_group, rng)
        volume = _VOLUME * molecule.n_heavy * len(rotations)
        shape = rng.uniform(*_RATIOS, size=3)
        unit = gemmi.UnitCell(1, 1, 1, *self.angles)
        edges = shape * (volume / (shape.prod() * unit.volume)) ** (1 / 3)
        self.unit = torch.tensor(unit.orth.mat.tolist(), dtype=torch.float64)
        self.log_edges = torch.from_numpy(np.log(edges))
        self.quaternion = torch.from_numpy(rng.standard_normal(4))
        self.place = torch.from_numpy(rng.uniform(size=3))
        self.pressure = _PRESSURE * len(self.xyz)
        self.free = torch.ones(3, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
        if site is not None:
            along = torch.from_numpy((site.rotation == 1).astype(np.float64))
            # about b alone, unless every orientation has the inversion
            turns = [1.0, 0.0, 1.0, 0.0] if bool(along.any()) else [1.0] * 4
            self.free = along, torch.tensor(turns, dtype=torch.float64)
            self.place = self.place * along + torch.from_numpy(site.place)
            self.quaternion = self.quaternion * self.free[1]

    def packed(self) -> MolecularCrystal:
        self._relax(_STEPS, self.pressure)
        while not self._relax(_SETTLING, 0.0):
            self.log_edges = self.log_edges + np.log(_GROWTH)
        a, b, c = self.log_edges.exp().tolist()
        with torch.no_grad():
            frac = self._frac(self.quaternion, self.place, self.log_edges)
        return MolecularCrystal(
            gemmi.UnitCell(a, b, c, *self.angles), self.space_group, frac.numpy()
        )

    def _orth(self, log_edges: Tensor) -> Tensor:
        return self.unit * log_edges.exp()

    def _frac(self, quaternion: Tensor, place: Tensor, log_edges: Tensor) -> Tensor:
        turned = self.xyz @ rotation_matrices(quaternion[None] / quaternion.norm())[0].mT
        return turned @ torch.linalg.inv(self._orth(log_edges)).mT + place

    def _relax(self, steps: int, pressure: float) -> bool:
        """Push images apart; without pressure the cell is kept. True if no contact is left."""
        q, place, edges = (
            x.clone().requires_grad_() for x in (self.quaternion, self.place, self.log_edges)
        )
        length = float(self.log_edges.exp().mean())
        moved = [
            {"params": [q], "lr": _RATES[0]},
            {"params": [place], "lr": _RATES[1] / length},
        ]
        if pressure:
            moved.append({"params": [edges], "lr": _RATES[2]})
        optimiser = torch.optim.Adam(moved, betas=(0.8, 0.95))
        free = False
        for step in range(steps + 1):
            frac = self._frac(q, place, edges)
            if step % _LIST_EVERY == 0 or free:
                pairs = self._pairs(frac.detach(), edges.detach())
            shortfall = self._shortfalls(frac, edges, pairs)
            free = not bool((shortfall > 0).any())
            if (free and not pressure and step % _LIST_EVERY == 0) or step == steps:
                break
            loss = shortfall.square().sum() + pressure * edges.sum()
            optimiser.zero_grad()
            loss.backward()
            for moved_one, free_part in zip((place, q), self.free, strict=True):
                assert moved_one.grad is not None
                moved_one.grad *= free_part
            optimiser.step()
        self.quaternion, self.place = q.detach() / q.detach().norm(), place.detach() % 1.0
        self.log_edges = edges.detach()
        return free and step % _LIST_EVERY == 0

    def _pairs(self, frac: Tensor, log_edges: Tensor) -> tuple[Tensor, ...]:
        """Pairs that are or may soon be in contact: atoms i, j, operator and cell shift of j."""
        orth = self._orth(log_edges)
        centre = frac.mean(0)
        shifts = torch.tensor(list(itertools.product(range(-2, 3), repeat=3)), dtype=frac.dtype)
        images = self.rotations @ centre + self.translations
        # whole cells that bring each image next to the molecule, so that two more suffice
        nearest = torch.round(centre - images)
        offsets = nearest[:, None] + shifts
        apart = (images[:, None] + offsets - centre) @ orth.mT
        limit = 2 * self.reach + 2 * max(_RADII.values()) + _LIST_MARGIN
        near = apart.norm(dim=-1) < limit
        near[0] &= offsets[0].abs().sum(-1) > 0
        op, cell = torch.nonzero(near, as_tuple=True)
        placed = self._placed(frac, op, offsets[op, cell])
        tree = cKDTree((placed @ orth.mT).reshape(-1, 3).numpy())
        reach = 2 * float(self.radii.max()) + _LIST_MARGIN
        found = cKDTree((frac @ orth.mT).numpy()).sparse_distance_matrix(
            tree, reach, output_type="coo_matrix"
        )
        i = torch.from_numpy(found.row.astype(np.int64))
        image, j = np.divmod(found.col.astype(np.int64), len(frac))
        image = torch.from_numpy(image)
        return i, torch.from_numpy(j), op[image], offsets[op, cell][image]

    def _placed(self, frac: Tensor, op: Tensor, offset: Tensor) -> Tensor:
        return frac @ self.rotations[op].mT + (self.translations[op] + offset)[:, None]

    def _shortfalls(self, frac: Tensor, log_edges: Tensor, pairs: tuple[Tensor, ...]) -> Tensor:
        i, j, op, offset = pairs
        other = (self.rotations[op] @ frac[j, :, None])[..., 0] + self.translations[op] + offset
        apart = (other - frac[i]) @ self._orth(log_edges).mT
        distance = apart.square().sum(1).clamp_min(1e-6).sqrt()
        return (self.radii[i] + self.radii[j] - distance).clamp_min(0.0)


def _angles(space_group: gemmi.SpaceGroup, rng: np.random.Generator) -> tuple[float, float, float]:
    system = space_group.crystal_system_str()
    if system == "triclinic":
        alpha, beta, gamma = rng.uniform(*_ANGLES, size=3).tolist()
        return alpha, beta, gamma
    if system == "monoclinic" and space_group.monoclinic_unique_axis() == "b":
        return 90.0, float(rng.uniform(*_BETA)), 90.0
    if system == "orthorhombic":
        return 90.0, 90.0, 90.0
    raise ValueError(
        f"{space_group.xhm()}: expected a triclinic, monoclinic (unique axis b) or orthorhombic "
        "space group"
    )
