"""Residues fitted to a map: conformations superposed on the atoms that are there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import residue_letter, residue_number
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residues import D_NAME_OF
from crysformer.phasing.sequence_search.random_poses import random_torsions

ANCHORS: Final = 3
"""Atoms at least that hold a residue in its place."""
_TOO_NEAR: Final = 2.2  # A, between atoms that are not bonded
_CLASH: Final = 2.0  # rms of the map that each clash costs
_MOST_MISFIT, _MISFIT = 0.5, 0.15  # A, rms of the anchors on standard geometry: most, usual
#: Standard deviations of the changes of torsions around the best conformation, degrees.
_SEARCHES: Final = (15.0, 6.0)


@dataclass(frozen=True, eq=False)
class ResidueFit:
    """A conformation in its place.

    Attributes
    ----------
    xyz
        Cartesian positions by place of the residue and name of the atom, A.
    density
        Mean density at the atoms wanted, less clashes, in units of the map's rms.
    misfit
        Rms distance of the anchors, A.
    """

    xyz: dict[tuple[int, str], NDArray[np.float64]]
    density: float
    misfit: float


class ResidueFitter:
    """Fits residues of one model to a map.

    Parameters
    ----------
    structure
        The model, as it is whenever a residue is fitted.
    density
        The map.
    generator
        Random generator on the CPU.
    conformations
        Number of random conformations of each residue.
    """

    def __init__(
        self,
        structure: gemmi.Structure,
        density: MapValues,
        generator: torch.Generator,
        conformations: int,
    ) -> None:
        self.structure, self.density = structure, density
        self.generator, self.conformations = generator, conformations
        group = gemmi.SpaceGroup(structure.spacegroup_hm)
        self.operators = list(operators(group, centred=True))
        self.orth, self.to_frac = orth_matrix(structure.cell), frac_matrix(structure.cell)

    def best(
        self,
        chain: gemmi.Chain,
        held: gemmi.Residue,
        names: list[str],
        anchors: set[str],
        wanted: list[str],
        place: int,
    ) -> ResidueFit | None:
        """The best of random conformations of one or two residues, and of changes of it.

        The atoms `anchors` of the residue that is there are superposed; the density at the atoms
        `wanted` of residue `place`, less clashes, is compared.

        Parameters
        ----------
        chain, held
            The residue that is there, in its chain.
        names
            Residues of the conformations, one or two; of two, `place` is the one to be added.
        anchors
            Names of atoms of `held`.
        wanted
            Names of atoms of the residue `place`.
        place
            0 or 1.

        Returns
        -------
        ResidueFit or None
            None if nothing holds the residue, or the atoms present contradict its geometry.
        """
        of_held = 1 - place if len(names) == 2 else 0
        peptides = _peptides(names)
        keys = [(int(r), name) for r, name in zip(peptides.residue, peptides.names, strict=True)]
        rows = {key: i for i, key in enumerate(keys)}
        common = sorted(name for name in anchors if (of_held, name) in rows)
        common = [name for name in common if held.find_atom(name, "*") is not None]
        if len(common) < ANCHORS:
            return None
        target, kinematics = atom_positions(held, common), Kinematics(peptides)
        fixed, new = [rows[of_held, name] for name in common], [rows[place, n] for n in wanted]
        obstacles = self._obstacles(chain, residue_number(held), len(names) == 2)
        torsions = random_torsions(peptides, self.conformations, self.generator)
        for sigma in (*_SEARCHES, None):
            xyz, misfit = _superposed(_conformations(kinematics, torsions), fixed, target)
            value = self.density.at(xyz[:, new]).mean(axis=1)
            value = value - _CLASH / len(new) * self._clashes(xyz[:, new], obstacles)
            score = value - 0.5 * (misfit / _MISFIT) ** 2 / len(new)
            # atoms that are there bind: of conformations that contradict them, the nearest
            agrees = misfit <= max(_MOST_MISFIT, float(misfit.min()))
            best = int(np.where(agrees, score, -np.inf).argmax())
            if sigma is not None:
                noise = torch.randn(torsions.shape, generator=self.generator)
                noise[0] = 0
                torsions = torsions[best] + math.radians(sigma) * noise
        if misfit[best] > _MOST_MISFIT:
            return None
        fitted = {key: xyz[best, row] for key, row in rows.items()}
        return ResidueFit(fitted, float(value[best]), float(misfit[best]))

    def _obstacles(self, chain: gemmi.Chain, number: int, added: bool) -> NDArray[np.float64]:
        """Fractional positions (m, 3) of atoms that a residue must not meet, with their mates.

        These are all atoms but those that may be bonded to it: C, O and N of the residues beside.
        Residue `number` itself counts only if another one is added beside it.
        """
        found = []
        for site in self.structure[0].all():
            apart = 2
            if site.chain.name == chain.name:
                apart = abs(residue_number(site.residue) - number)
            own, beside = apart == 0 and not added, apart <= 1
            if not own and not (beside and site.atom.name in ("N", "C", "O")):
                found.append(site.atom.pos.tolist())
        frac = np.array(found).reshape(-1, 3) @ self.to_frac.T
        return np.concatenate([frac @ rotation.T + shift for rotation, shift in self.operators])

    def _clashes(
        self, xyz: NDArray[np.float64], obstacles: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Atoms of conformations (B, k, 3) that are too near to an obstacle, shape (B,)."""
        count = np.zeros(len(xyz))
        for atom in np.moveaxis(xyz, 1, 0):
            step = (atom @ self.to_frac.T)[:, None] - obstacles[None]
            near = (minimum_image(step) @ self.orth.T) ** 2
            count += (near.sum(-1) < _TOO_NEAR**2).any(axis=1)
        return count


def atom_positions(residue: gemmi.Residue, names: Sequence[str]) -> NDArray[np.float64]:
    """Cartesian positions of atoms of a residue by their names, shape (n, 3), A."""
    return np.array([residue.find_atom(name, "*").pos.tolist() for name in names])


def _conformations(kinematics: Kinematics, torsions: Tensor) -> NDArray[np.float64]:
    n = len(torsions)
    pose = Pose(torsions, torch.eye(3).expand(n, 1, 3, 3), torch.zeros(n, 1, 3))
    xyz: NDArray[np.float64] = kinematics.coordinates(pose)[0].double().numpy()
    return xyz


def _superposed(
    xyz: NDArray[np.float64], rows: list[int], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Conformations (B, n, 3) with atoms `rows` on `target` (k, 3), and the misfit, (B,), A.

    Kabsch, Acta Cryst. A32, 922 (1976).
    """
    part = xyz[:, rows]
    centre, goal = part.mean(axis=1, keepdims=True), target.mean(axis=0)
    covariance = np.einsum("bki,kj->bij", part - centre, target - goal)
    u, _, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= sign[:, None]
    rotation = u @ vt
    moved = (xyz - centre) @ rotation + goal
    misfit = np.sqrt(((moved[:, rows] - target) ** 2).sum(-1).mean(-1))
    return moved, misfit


def _peptides(names: Sequence[str]) -> Peptides:
    """Peptide of residues by their three-letter names."""
    codes = []
    for name in names:
        letter = residue_letter(name)
        codes.append(f"({name})" if name in D_NAME_OF.values() else str(letter))
    return build_peptides(["".join(codes)])
