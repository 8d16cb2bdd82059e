"""Restrained refinement without other programs: standard geometry of the twenty residues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.model_atoms import polymer_chains, residue_letter
from crysformer.building.refinement.refiner import (
    Displacement,
    RefinedStructure,
    RefinementFailed,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.residues import D_NAME_OF
from crysformer.peptide.restraints import Restraints, restraints_of
from crysformer.phasing.refinement.restrained import RestrainedSettings, refine_atoms

_LONGEST_PEPTIDE_BOND: Final = 2.0  # A; a longer one is a break of the chain
_STEPS_PER_CYCLE: Final = 10  # of Adam, for the work of one cycle of other programs
_LEAST_B: Final = 1.0  # A^2, at the start
_CAPS: Final = ("ACE", "NH2")


@dataclass(frozen=True)
class OwnRefinement:
    """The restrained refinement of the solver, for a model with breaks and waters.

    B is isotropic, and there are no hydrogens. Atoms of residues that are none of the twenty are
    refused, waters are free.
    """

    program: str = "crysformer"
    full: bool = False

    def refine(
        self,
        structure: gemmi.Structure,
        data: CrystalData,
        free: NDArray[np.bool_],
        *,
        cycles: int,
        displacement: Displacement = "iso",
        hydrogens: bool = False,
        deadline: float,
    ) -> RefinedStructure:
        """Refine, as `Refiner.refine` says; `displacement` and `hydrogens` have no effect."""
        refined = structure.clone()
        refined.remove_hydrogens()
        refined.remove_alternative_conformations()
        atoms = [site.atom for site in refined[0].all()]
        restraints = structure_restraints(refined)
        number = torch.tensor([atom.element.atomic_number for atom in atoms])
        xyz = torch.tensor([[atom.pos.tolist() for atom in atoms]], dtype=torch.float32)
        b_iso = torch.tensor([[max(atom.b_iso, _LEAST_B) for atom in atoms]], dtype=torch.float32)
        working = data.select(~free)
        steps = _STEPS_PER_CYCLE * cycles
        result = refine_atoms(
            working, restraints, number, xyz, b_iso, deadline,
            settings=RestrainedSettings(steps=steps),
        )  # fmt: skip
        if not bool(torch.isfinite(result.xyz).all()):
            raise RefinementFailed("the model left the cell: its coordinates are not numbers")
        for atom, position, b in zip(
            atoms, result.xyz[0].tolist(), result.b_iso[0].tolist(), strict=True
        ):
            atom.pos, atom.b_iso, atom.aniso = (
                gemmi.Position(*position),
                b,
                gemmi.SMat33f(0, 0, 0, 0, 0, 0),
            )
        log = f"crysformer: {steps} steps, R of the working reflections {float(result.r[0]):.4f}\n"
        return RefinedStructure(refined, self.program, cycles, log, {"r_work": float(result.r[0])})


def structure_restraints(structure: gemmi.Structure) -> Restraints:
    """Restraints of the atoms of a model, numbered in its order.

    Every stretch of residues without a break is a chain of standard geometry; atoms that it has
    and the model lacks are left out.

    Raises
    ------
    RefinementFailed
        If a residue has no standard geometry, or the model no chain.
    """
    place = {}
    for i, site in enumerate(structure[0].all()):
        place[site.chain.name, str(site.residue.seqid), site.residue.name, site.atom.name] = i
    sequences: list[str] = []
    rows: list[int] = []
    for chain in polymer_chains(structure):
        for stretch in _stretches(chain):
            sequences.append(_notation(stretch))
            peptides = build_peptides(sequences[-1:])
            inside = [r for r in stretch if r.name not in _CAPS]
            for k, name in zip(peptides.residue.tolist(), peptides.names, strict=True):
                group, _, atom = name.rpartition(".")
                residue = inside[k]
                if group:
                    residue = stretch[0] if group == "ACE" else stretch[-1]
                key = (chain.name, str(residue.seqid), residue.name, atom)
                rows.append(place.get(key, -1))
    if not sequences:
        raise RefinementFailed("the model has no chain of the twenty residues to refine")
    return restraints_of(Kinematics(build_peptides(sequences))).of_atoms(torch.tensor(rows))


def _stretches(chain: gemmi.Chain) -> list[list[gemmi.Residue]]:
    """Residues of a chain without a break between them, blocked ends included."""
    found: list[list[gemmi.Residue]] = []
    for residue in chain:
        if residue_letter(residue.name) is None and residue.name not in _CAPS:
            if residue.entity_type == gemmi.EntityType.Polymer:
                raise RefinementFailed(
                    f"residue {residue.name} {chain.name}{residue.seqid} has no built-in "
                    "restraints; give its monomer dictionary with `dictionary`, and install "
                    "servalcat (extra [build])"
                )
            continue
        if found and _bonded(found[-1][-1], residue):
            found[-1].append(residue)
        else:
            found.append([residue])
    return [stretch for stretch in found if any(r.name not in _CAPS for r in stretch)]


def _bonded(first: gemmi.Residue, second: gemmi.Residue) -> bool:
    carbon, nitrogen = first.find_atom("C", "*"), second.find_atom("N", "*")
    if carbon is None or nitrogen is None:
        return False
    return bool(carbon.pos.dist(nitrogen.pos) < _LONGEST_PEPTIDE_BOND)


def _notation(stretch: list[gemmi.Residue]) -> str:
    """The stretch as `crysformer.peptide.chain.parse_chain` reads it."""
    codes = [
        f"({r.name})" if r.name in D_NAME_OF.values() else str(residue_letter(r.name))
        for r in stretch
        if r.name not in _CAPS
    ]
    start, end = stretch[0].name == "ACE", stretch[-1].name == "NH2"
    return f"{'Ac-' * start}{''.join(codes)}{'-NH2' * end}"
