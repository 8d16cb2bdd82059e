"""Restrained refinement without other programs: standard geometry, and that of dictionaries."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.dictionaries import Dictionaries
from crysformer.building.model_atoms import residue_letter
from crysformer.building.refinement.monomer_geometry import MonomerGeometry
from crysformer.building.refinement.refiner import (
    Displacement,
    RefinedStructure,
    RefinementFailed,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.cis_bonds import cis_bonds, geometry_with_cis
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.residues import D_NAME_OF
from crysformer.peptide.restraints import Restraints, joined, restraints_of
from crysformer.phasing.refinement.restrained import RestrainedSettings, refine_atoms

_LONGEST_PEPTIDE_BOND: Final = 2.0  # A; a longer one is a break of the chain
_STEPS_PER_CYCLE: Final = 10  # of Adam, for the work of one cycle of other programs
_LEAST_B: Final = 1.0  # A^2, at the start
_CAPS: Final = ("ACE", "NH2")


@dataclass(frozen=True)
class OwnRefinement:
    """The restrained refinement of the solver, for a model with breaks and waters.

    B is isotropic, and there are no hydrogens. Residues that are none of the twenty are restrained
    by their dictionaries, polymers without any are refused; waters are free.

    Attributes
    ----------
    dictionaries
        Restraints of other residues than the twenty.
    program, full
        Name; it refines neither anisotropic B nor hydrogens.
    """

    dictionaries: Dictionaries = field(default_factory=lambda: Dictionaries(None, "none"))
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
        restraints = structure_restraints(refined, self.dictionaries)
        number = torch.tensor([atom.element.atomic_number for atom in atoms])
        xyz = torch.tensor([[atom.pos.tolist() for atom in atoms]], dtype=torch.float32)
        b_iso = torch.tensor([[max(atom.b_iso, _LEAST_B) for atom in atoms]], dtype=torch.float32)
        working = data.select(~free)
        steps = _STEPS_PER_CYCLE * cycles
        result = refine_atoms(
            working, restraints, number, xyz, b_iso, deadline,
            settings=RestrainedSettings(steps=steps),
        )  # fmt: skip
        if result.steps < steps:
            raise RefinementFailed(
                f"refinement was stopped at the time limit, after {result.steps} of {steps} steps"
            )
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


def structure_restraints(
    structure: gemmi.Structure, dictionaries: Dictionaries | None = None
) -> Restraints:
    """Restraints of the atoms of a model, numbered in its order.

    Every stretch of the twenty residues without a break is a chain of standard geometry; atoms that
    it has and the model lacks are left out. Peptide bonds stay cis or trans, whichever is nearer.
    Other residues have the restraints of the dictionaries, and peptide bonds join them.

    Parameters
    ----------
    structure
        The model, without alternative conformers.
    dictionaries
        Restraints of other residues.

    Raises
    ------
    RefinementFailed
        If a residue of a polymer has no restraints, or the model no chain.
    """
    place: dict[tuple[str, str, str], dict[str, int]] = {}
    xyz = []
    for i, site in enumerate(structure[0].all()):
        place.setdefault(_key(site.chain, site.residue), {})[site.atom.name] = i
        xyz.append(site.atom.pos.tolist())
    sequences: list[str] = []
    rows: list[int] = []
    others = MonomerGeometry(np.array(xyz).reshape(-1, 3))
    for chain in structure[0]:
        stretches = _stretches(chain)
        for stretch in stretches:
            sequences.append(_notation(stretch))
            peptides = build_peptides(sequences[-1:])
            inside = [r for r in stretch if r.name not in _CAPS]
            for k, name in zip(peptides.residue.tolist(), peptides.names, strict=True):
                group, _, atom = name.rpartition(".")
                residue = inside[k] if inside else None
                if group:
                    residue = stretch[0] if group == "ACE" else stretch[-1]
                of = {} if residue is None else place.get(_key(chain, residue), {})
                rows.append(of.get(atom, -1))
        _add_other_residues(others, chain, place, dictionaries)
        _add_seams(others, chain, stretches, place)
    found = [others.restraints()] if others.used else []
    if sequences:
        kinematics, row = Kinematics(build_peptides(sequences)), torch.tensor(rows)
        at = torch.tensor([*xyz, [math.nan] * 3])[row]  # -1, the last one: not there
        (cis,) = cis_bonds(kinematics.peptides, at[None])
        standard = restraints_of(kinematics, geometry_with_cis(kinematics, cis))
        found.append(standard.of_atoms(row))
    if not found:
        raise RefinementFailed("the model has no chain of the twenty residues to refine")
    return joined(found)


def _key(chain: gemmi.Chain, residue: gemmi.Residue) -> tuple[str, str, str]:
    return chain.name, str(residue.seqid), residue.name


def _is_standard(residue: gemmi.Residue) -> bool:
    return residue_letter(residue.name) is not None or residue.name in _CAPS


def _add_other_residues(
    others: MonomerGeometry,
    chain: gemmi.Chain,
    place: dict[tuple[str, str, str], dict[str, int]],
    dictionaries: Dictionaries | None,
) -> None:
    """Add the restraints of the residues of a chain that are none of the twenty."""
    for residue in chain:
        if _is_standard(residue) or residue.is_water():
            continue
        monomer = None if dictionaries is None else dictionaries.restraints(residue.name)
        if monomer is not None:
            others.add(monomer, place[_key(chain, residue)])
        elif residue.entity_type == gemmi.EntityType.Polymer:
            raise RefinementFailed(
                f"residue {residue.name} {chain.name}{residue.seqid} has no restraints; give its "
                "monomer dictionary, or its definition in the Chemical Component Dictionary, with "
                "`dictionary`"
            )


def _add_seams(
    others: MonomerGeometry,
    chain: gemmi.Chain,
    stretches: list[list[gemmi.Residue]],
    place: dict[tuple[str, str, str], dict[str, int]],
) -> None:
    """Add the peptide bonds that are in no stretch, that of a ring included."""
    residues = [residue for residue in chain if not residue.is_water()]
    inside = {(str(a.seqid), str(b.seqid)) for stretch in stretches for a, b in pairwise(stretch)}
    pairs = list(pairwise(residues))
    if len(residues) > 2:
        pairs.append((residues[-1], residues[0]))
    for before, after in pairs:
        if (str(before.seqid), str(after.seqid)) not in inside and _bonded(before, after):
            others.add_peptide_bond(place[_key(chain, before)], place[_key(chain, after)])


def _stretches(chain: gemmi.Chain) -> list[list[gemmi.Residue]]:
    """Standard residues of a chain without a break between them, blocked ends included."""
    found: list[list[gemmi.Residue]] = []
    previous: gemmi.Residue | None = None
    for residue in chain:
        if _is_standard(residue):
            follows = previous is not None and _is_standard(previous)
            if found and follows and _bonded(found[-1][-1], residue):
                found[-1].append(residue)
            else:
                found.append([residue])
        previous = residue
    return found


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
    codes = codes or ["G"]  # a cap beside a residue of another kind
    return f"{'Ac-' * start}{''.join(codes)}{'-NH2' * end}"
