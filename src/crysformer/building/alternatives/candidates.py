"""Candidates for second conformers: side chains in difference density, and elongated atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.alternatives.settings import ConformerSettings
from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import polymer_chains, residue_letter
from crysformer.building.residue_fit import ResidueFitter, atom_positions
from crysformer.peptide.residues import atoms_of

_HELD: Final = ("N", "CA", "C", "O", "CB", "OXT")
_ANCHORS: Final = {"N", "CA", "C", "CB"}
_APART: Final = 0.8  # A, from every atom of the residue: a position that is new
_LEAST_DENSITY: Final = 0.5  # of mFo-DFc, in units of its rms, at each new position


@dataclass(frozen=True, eq=False)
class Candidate:
    """Two positions for each of some atoms of a residue.

    Attributes
    ----------
    chain, seqid
        The residue.
    first, second
        Positions of its atoms in the two conformers, by name, shape (3,), A.
    score
        The higher, the more the maps support it.
    """

    chain: str
    seqid: str
    first: dict[str, NDArray[np.float64]]
    second: dict[str, NDArray[np.float64]]
    score: float


def candidates(
    structure: gemmi.Structure,
    difference: MapValues,
    d_min: float,
    generator: torch.Generator,
    settings: ConformerSettings,
) -> list[Candidate]:
    """All candidates that the resolution permits, one for each residue, best first."""
    found = []
    if d_min <= settings.d_min:
        found = conformers_in_difference_density(structure, difference, generator, settings)
        found.sort(key=lambda candidate: -candidate.score)
    if d_min <= settings.split_d_min:
        known = {(candidate.chain, candidate.seqid) for candidate in found}
        split = split_elongated_atoms(structure, settings)
        split.sort(key=lambda candidate: -candidate.score)
        found += [c for c in split if (c.chain, c.seqid) not in known]
    return found


def conformers_in_difference_density(
    structure: gemmi.Structure,
    difference: MapValues,
    generator: torch.Generator,
    settings: ConformerSettings,
) -> list[Candidate]:
    """Side chains that fit into positive difference density beside those of the model.

    The best of random conformations in mFo-DFc is a candidate if its atoms at new positions have
    enough density there, also in comparison to the atoms that would move, where a model of full
    occupancy has too much.

    Parameters
    ----------
    structure
        The model.
    difference
        mFo-DFc.
    generator
        Random generator on the CPU.
    settings
        Criteria.
    """
    fitter = ResidueFitter(structure, difference, generator, settings.conformations)
    found = []
    for chain, residue, names in _side_chains(structure):
        if residue_letter(residue.name) == "P":
            continue
        fit = fitter.best(chain, residue, [residue.name], _ANCHORS, names, 0)
        if fit is None:
            continue
        now = atom_positions(residue, names)
        new = np.array([fit.xyz[0, name] for name in names])
        moved = np.linalg.norm(new[:, None] - now[None], axis=2).min(axis=1) > _APART
        if not moved.any():
            continue
        heights = difference.at(new[moved])
        contrast = float(heights.mean() - difference.at(now[moved]).mean())
        enough = heights.mean() > settings.min_peak and heights.min() > _LEAST_DENSITY
        if enough and contrast > settings.min_contrast:
            first, second = (dict(zip(names, xyz, strict=True)) for xyz in (now, new))
            found.append(Candidate(chain.name, str(residue.seqid), first, second, contrast))
    return found


def split_elongated_atoms(
    structure: gemmi.Structure, settings: ConformerSettings
) -> list[Candidate]:
    """Ends of side chains whose anisotropic atoms are elongated, split along the long axis.

    Parameters
    ----------
    structure
        The model, with anisotropic B.
    settings
        Criteria.
    """
    found = []
    for chain, residue, names in _side_chains(structure):
        halves: dict[str, NDArray[np.float64]] = {}
        widest = 0.0
        for name in names:
            half = _long_axis(residue.find_atom(name, "*"), settings.elongation)
            if half is None:
                if widest < settings.min_split:  # nothing beside the main chain is split yet
                    halves.clear()
                    widest = 0.0
                continue
            if halves and half @ next(reversed(halves.values())) < 0:
                half = -half
            halves[name] = half
            widest = max(widest, 2 * float(np.linalg.norm(half)))
        if widest < settings.min_split:
            continue
        place = {name: atom_positions(residue, [name])[0] for name in halves}
        found.append(
            Candidate(
                chain.name,
                str(residue.seqid),
                {name: place[name] + half for name, half in halves.items()},
                {name: place[name] - half for name, half in halves.items()},
                widest,
            )
        )
    return found


def _side_chains(
    structure: gemmi.Structure,
) -> Iterator[tuple[gemmi.Chain, gemmi.Residue, list[str]]]:
    """Residues with one complete side chain, and the names of its atoms beyond CB."""
    for chain in polymer_chains(structure):
        for residue in chain:
            letter = residue_letter(residue.name)
            if letter is None or any(atom.altloc != "\0" for atom in residue):
                continue
            wanted = atoms_of(letter)
            names = [name for name in wanted if name not in _HELD]
            if names and all(residue.find_atom(name, "*") is not None for name in wanted):
                yield chain, residue, names


def _long_axis(atom: gemmi.Atom, elongation: float) -> NDArray[np.float64] | None:
    """Half the vector between two halves of an elongated atom, A; None of any other.

    Two equal halves at plus and minus x have the mean square displacement x^2 along their line
    beyond that of each.
    """
    if not atom.aniso.nonzero():
        return None
    values, axes = np.linalg.eigh(np.array(atom.aniso.as_mat33().tolist()))
    if values[1] <= 0 or values[2] < elongation * values[1]:
        return None
    return np.asarray(axes[:, 2] * np.sqrt(values[2] - values[1]))
