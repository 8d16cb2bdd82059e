"""Atoms that a model lacks, from standard geometry and the density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import polymer_chains, residue_letter, residue_number
from crysformer.building.residue_fit import ANCHORS, ResidueFitter, atom_positions
from crysformer.peptide.chain import Chain, parse_chain
from crysformer.peptide.residues import D_NAME_OF, NAME_OF, atoms_of
from crysformer.settings import setting


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
    min_backbone: float = setting(
        0.5, "Least density, likewise, at each of its N, CA and C.", min=-5.0, max=20.0
    )
    hole: float = setting(
        3.0, "Depth in the difference map, likewise, of a hole at an atom that is not there.",
        min=0.0, max=20.0,
    )  # fmt: skip
    better: float = setting(
        0.5, "Gain of mean density, likewise, for which a side chain is turned.", min=0.0, max=20.0
    )


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
        self.settings = settings
        self.fitter = ResidueFitter(structure, density, generator, settings.conformations)

    def fill(self) -> int:
        """Add the atoms that residues lack; returns their number.

        Residues with fewer than three atoms are removed, because nothing holds them.
        """
        added = 0
        for chain in polymer_chains(self.structure):
            for i in reversed(range(len(chain))):
                if residue_letter(chain[i].name) and len(chain[i]) < ANCHORS:
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

    def remove_unseen_ends(self, difference: MapValues) -> int:
        """Remove second oxygens of last residues that the maps do not show.

        These have too little density, or are in a hole of the difference map (mFo-DFc), since a
        model puts some density where its atoms are.
        """
        removed = 0
        for chain in polymer_chains(self.structure):
            for residue in chain:
                oxygen = residue.find_atom("OXT", "*")
                if oxygen is None:
                    continue
                place = np.array(oxygen.pos.tolist())
                hole = float(difference.at(place)) < -self.settings.hole
                if hole or float(self.density.at(place)) < self.settings.min_density:
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
                fit = self.fitter.best(
                    chain, residue, [residue.name], {"N", "CA", "C", "CB"}, side, 0
                )
                now = float(self.density.at(atom_positions(residue, side)).mean())
                if fit is not None and fit.density > now + self.settings.better:
                    for name in side:
                        residue.find_atom(name, "*").pos = gemmi.Position(*fit.xyz[0, name])
                    turned += 1
        return turned

    def _fill(self, chain: gemmi.Chain, residue: gemmi.Residue, missing: list[str]) -> int:
        present = {atom.name for atom in residue}
        if len(present - {"O", "OXT"}) >= ANCHORS:
            present -= {"O", "OXT"}  # which turn about the bond to C
        fit = self.fitter.best(chain, residue, [residue.name], present, missing, 0)
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
        fit = self.fitter.best(chain, beside, pair, anchors, wanted, place)
        if fit is None or fit.density < self.settings.min_density:
            return False
        backbone = np.array([fit.xyz[place, atom] for atom in ("N", "CA", "C")])
        if self.density.at(backbone).min() < self.settings.min_backbone:
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


def _atom(name: str, xyz: NDArray[np.float64], b_iso: float) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element = name, gemmi.Element(name[0])
    atom.pos, atom.occ, atom.b_iso = gemmi.Position(*xyz.tolist()), 1.0, b_iso
    return atom
