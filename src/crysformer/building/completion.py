"""Atoms that a model lacks, from standard geometry and the density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import polymer_chains, residue_letter, residue_number
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
from crysformer.peptide.chain import Chain, parse_chain
from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residues import D_NAME_OF, NAME_OF, atoms_of
from crysformer.phasing.sequence_search.random_poses import random_torsions
from crysformer.settings import setting

_TOO_NEAR: Final = 2.2  # A, between atoms that are not bonded
_CLASH: Final = 2.0  # rms of the map that each clash costs
_MOST_MISFIT: Final = 0.5  # A, rms of the anchor atoms on standard geometry
_ANCHORS: Final = 3  # atoms at least that hold a residue in its place


@dataclass(frozen=True)
class CompletionSettings:
    """Missing atoms and side chains fitted to the density."""

    conformations: int = setting(
        400, "Random conformations of each residue that lacks atoms.", min=1, max=100_000
    )
    min_density: float = setting(
        0.7, "Mean density at the new atoms, in units of the map's rms, of a residue added to an "
        "end of a chain.", min=-5.0, max=20.0,
    )  # fmt: skip
    better: float = setting(
        0.5, "Gain of mean density, likewise, for which a side chain is turned.", min=0.0, max=20.0
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """A conformation in its place: atoms by name, and their mean density."""

    xyz: dict[tuple[int, str], NDArray[np.float64]]
    density: float
    misfit: float


class Completion:
    """Fits residues to a map.

    Parameters
    ----------
    structure
        The model; it is changed in place.
    density
        The map, such as 2mFo-DFc.
    generator
        Random generator on the CPU.
    settings
        Criteria.
    """

    def __init__(
        self,
        structure: gemmi.Structure,
        density: MapValues,
        generator: torch.Generator,
        settings: CompletionSettings,
    ) -> None:
        self.structure, self.density = structure, density
        self.generator, self.settings = generator, settings
        group = gemmi.SpaceGroup(structure.spacegroup_hm)
        self.operators = list(operators(group, centred=True))
        self.orth, self.to_frac = orth_matrix(structure.cell), frac_matrix(structure.cell)

    def fill(self) -> int:
        """Add the atoms that residues lack; returns their number.

        Residues with fewer than three atoms are removed, because nothing holds them.
        """
        added = 0
        for chain in polymer_chains(self.structure):
            for i in reversed(range(len(chain))):
                if residue_letter(chain[i].name) and len(chain[i]) < _ANCHORS:
                    del chain[i]
            for i, residue in enumerate(chain):
                letter = residue_letter(residue.name)
                if letter is None:
                    continue
                last = i == len(chain) - 1
                wanted = _names(letter, end=last and residue.find_atom("OXT", "*") is not None)
                missing = [name for name in wanted if residue.find_atom(name, "*") is None]
                if missing:
                    added += self._fill(chain, residue, missing)
        return added

    def extend(self, sequences: Sequence[str]) -> int:
        """Add residues of the sequence to the ends of chains, where the map shows them."""
        added = 0
        for chain in polymer_chains(self.structure):
            numbered = {residue_number(residue) for residue in chain}
            described = _sequence_of(chain, sequences)
            if described is None:
                continue
            inside = [n for n in numbered if 1 <= n <= len(described.letters)]
            first, last = min(inside), max(inside)
            while last < len(described.letters) and self._add(chain, described, last, after=True):
                last, added = last + 1, added + 1
            while first > 1 and self._add(chain, described, first, after=False):
                first, added = first - 1, added + 1
        return added

    def remove_unseen_ends(self) -> int:
        """Remove second oxygens of last residues that the map does not show."""
        removed = 0
        for chain in polymer_chains(self.structure):
            for residue in chain:
                oxygen = residue.find_atom("OXT", "*")
                if oxygen is None:
                    continue
                value = float(self.density.at(np.array(oxygen.pos.tolist())))
                if value < self.settings.min_density:
                    residue.remove_atom("OXT", "\0", gemmi.Element("O"))
                    removed += 1
        return removed

    def turn_side_chains(self) -> int:
        """Turn side chains to conformations of clearly higher density; returns their number."""
        turned = 0
        for chain in polymer_chains(self.structure):
            for residue in chain:
                letter = residue_letter(residue.name)
                names = [] if letter is None else _names(letter, end=False)
                side = [name for name in names if name not in ("N", "CA", "C", "O", "CB")]
                if letter is None or letter == "P" or not side:
                    continue
                if any(residue.find_atom(name, "*") is None for name in names):
                    continue
                fit = self._best(chain, residue, [residue.name], {"N", "CA", "C", "CB"}, side, 0)
                now = float(self.density.at(_positions(residue, side)).mean())
                if fit is not None and fit.density > now + self.settings.better:
                    for name in side:
                        residue.find_atom(name, "*").pos = gemmi.Position(*fit.xyz[0, name])
                    turned += 1
        return turned

    def _fill(self, chain: gemmi.Chain, residue: gemmi.Residue, missing: list[str]) -> int:
        present = {atom.name for atom in residue}
        fit = self._best(chain, residue, [residue.name], present, missing, 0)
        if fit is None:
            return 0
        b_iso = float(np.mean([atom.b_iso for atom in residue]))
        for name in missing:
            residue.add_atom(_atom(name, fit.xyz[0, name], b_iso))
        return len(missing)

    def _add(self, chain: gemmi.Chain, described: Chain, number: int, *, after: bool) -> bool:
        """Add the residue after or before residue `number` (from 1), if the map shows it."""
        beside = next(residue for residue in chain if residue_number(residue) == number)
        new = number + 1 if after else number - 1
        letter = described.letters[new - 1]
        if residue_letter(beside.name) is None or letter not in NAME_OF:
            return False
        name = (D_NAME_OF if new - 1 in described.d_residues else NAME_OF)[letter]
        place = 1 if after else 0
        anchors = {"N", "CA", "C"} | ({"CB"} if residue_letter(beside.name) != "G" else set())
        wanted = _names(letter, end=False)
        pair = [beside.name, name] if after else [name, beside.name]
        fit = self._best(chain, beside, pair, anchors, wanted, place)
        if fit is None or fit.density < self.settings.min_density:
            return False
        residue = gemmi.Residue()
        residue.name, residue.seqid = name, gemmi.SeqId(new, " ")
        residue.entity_type = gemmi.EntityType.Polymer
        b_iso = 1.5 * float(np.mean([atom.b_iso for atom in beside]))
        for atom in wanted:
            residue.add_atom(_atom(atom, fit.xyz[place, atom], b_iso))
        if after:
            oxygen = beside.find_atom("O", "*")
            if oxygen is not None and (0, "O") in fit.xyz:
                oxygen.pos = gemmi.Position(*fit.xyz[0, "O"])
        position = [residue_number(r) for r in chain].index(number)
        chain.add_residue(residue, position + (1 if after else 0))
        return True

    def _best(
        self,
        chain: gemmi.Chain,
        held: gemmi.Residue,
        names: list[str],
        anchors: set[str],
        wanted: list[str],
        place: int,
    ) -> _Fit | None:
        """The best of random conformations of one or two residues.

        The atoms `anchors` of the residue that is there are superposed; the density at the atoms
        `wanted` of residue `place`, less clashes, is compared.
        """
        of_held = 0 if len(names) == 1 or place == 1 else 1
        peptides = _peptides(names)
        kinematics = Kinematics(peptides)
        torsions = random_torsions(peptides, self.settings.conformations, self.generator)
        n = len(torsions)
        pose = Pose(torsions, torch.eye(3).expand(n, 1, 3, 3), torch.zeros(n, 1, 3))
        xyz = kinematics.coordinates(pose)[0].double().numpy()
        keys = [(int(r), name) for r, name in zip(peptides.residue, peptides.names, strict=True)]
        rows = {key: i for i, key in enumerate(keys)}
        common = sorted(name for name in anchors if (of_held, name) in rows)
        common = [name for name in common if held.find_atom(name, "*") is not None]
        if len(common) < _ANCHORS:
            return None
        target = _positions(held, common)
        xyz, misfit = _superposed(xyz, [rows[of_held, name] for name in common], target)
        new = [rows[place, name] for name in wanted]
        value = self.density.at(xyz[:, new]).mean(axis=1)
        value = value - _CLASH / len(new) * self._clashes(xyz[:, new], chain, held)
        # a misfit of the anchors is a conformation that the atoms present contradict
        score = value - 0.5 * (misfit / 0.15) ** 2 / len(new)
        best = int(score.argmax())
        if misfit[best] > _MOST_MISFIT:
            return None
        fitted = {key: xyz[best, row] for key, row in rows.items()}
        return _Fit(fitted, float(value[best]), float(misfit[best]))

    def _clashes(
        self, xyz: NDArray[np.float64], chain: gemmi.Chain, own: gemmi.Residue
    ) -> NDArray[np.float64]:
        """Atoms (B, k, 3) that are too near to atoms of other residues or their mates, (B,)."""
        others = [
            site.atom.pos.tolist()
            for site in self.structure[0].all()
            if site.chain.name != chain.name
            or abs(residue_number(site.residue) - residue_number(own)) > 1
        ]
        if not others:
            return np.zeros(len(xyz))
        frac = np.array(others) @ self.to_frac.T
        mates = np.concatenate([frac @ rotation.T + shift for rotation, shift in self.operators])
        count = np.zeros(len(xyz))
        for atom in np.moveaxis(xyz, 1, 0):
            step = minimum_image((atom @ self.to_frac.T)[:, None] - mates[None]) @ self.orth.T
            count += ((step**2).sum(-1) < _TOO_NEAR**2).any(axis=1)
        return count


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


def _sequence_of(chain: gemmi.Chain, sequences: Sequence[str]) -> Chain | None:
    """The sequence that a chain has at its residue numbers, or None."""
    numbered = {residue_number(r): residue_letter(r.name) for r in chain if residue_letter(r.name)}
    for sequence in sequences:
        described = parse_chain(sequence)
        letters = described.letters
        if numbered and all(
            1 <= n <= len(letters) and letters[n - 1] == letter for n, letter in numbered.items()
        ):
            return described
    return None


def _names(letter: str, *, end: bool) -> list[str]:
    return list(atoms_of(letter)) + (["OXT"] if end else [])


def _positions(residue: gemmi.Residue, names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([residue.find_atom(name, "*").pos.tolist() for name in names])


def _atom(name: str, xyz: NDArray[np.float64], b_iso: float) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element = name, gemmi.Element(name[0])
    atom.pos, atom.occ, atom.b_iso = gemmi.Position(*xyz.tolist()), 1.0, b_iso
    return atom
