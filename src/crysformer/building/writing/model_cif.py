"""Model as an mmCIF file that a deposition starts from."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import gemmi

from crysformer.building.validation.validation import Validation
from crysformer.building.writing.finished_model import FinishedModel
from crysformer.building.writing.links import add_links
from crysformer.building.writing.polymer_entities import set_entities
from crysformer.building.writing.refinement_record import describe, refinement_details
from crysformer.building.writing.residue_schemes import add_residue_schemes
from crysformer.files import write_bytes

_LINKING = {gemmi.ResidueKind.AA: "L-peptide linking", gemmi.ResidueKind.AAD: "D-peptide linking"}
_ACHIRAL = ("GLY", "AIB")


def described_structure(
    model: FinishedModel,
    sequences: Sequence[str] = (),
    validation: Validation | None = None,
    name: str = "model",
) -> gemmi.Structure:
    """Copy of the model with entities, links, and the description of data and refinement.

    Parameters
    ----------
    model
        The model.
    sequences
        Of the crystal's chains, `crysformer.peptide.chain` notation, also what is not modelled.
    validation
        Of the model.
    name
        Name of the entry.
    """
    # a new structure: the refined one may carry the description of the model it began with
    structure = gemmi.Structure()
    structure.name = name
    structure.cell = model.data.cell
    structure.spacegroup_hm = model.data.space_group.xhm()
    structure.add_model(model.scaled.structure[0])
    structure[0].num = 1
    for link in model.scaled.structure.connections:
        structure.connections.append(link)
    set_entities(structure, sequences)
    structure.assign_serial_numbers()
    add_links(structure)
    describe(structure, model, validation)
    return structure


def write_model_cif(
    path: str | os.PathLike[str],
    model: FinishedModel,
    sequences: Sequence[str] = (),
    validation: Validation | None = None,
) -> None:
    """Write a model in PDBx/mmCIF.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    document = model_document(model, sequences, validation)
    write_bytes(path, document.as_string().encode())


def model_document(
    model: FinishedModel, sequences: Sequence[str] = (), validation: Validation | None = None
) -> gemmi.cif.Document:
    """PDBx/mmCIF of a model; arguments as in `described_structure`."""
    structure = described_structure(model, sequences, validation)
    groups = gemmi.MmcifOutputGroups(True)
    groups.auth_all = True
    document = structure.make_mmcif_document(groups)
    block = document.sole_block()
    _set_component_types(block)
    _complete_polymers(block, structure)
    _add_non_polymers(block, structure)
    add_residue_schemes(block, structure)
    _complete_refinement(block, model)
    _set_atom_sites(block, structure)
    return document


def _set_component_types(block: gemmi.cif.Block) -> None:
    """Types of the chemical components, of which gemmi writes the names."""
    table = block.find("_chem_comp.", ["id", "type"])
    for row in table:
        row[1] = gemmi.cif.quote(component_type(row.str(0)))


def component_type(name: str) -> str:
    """Type of a component as the wwPDB's dictionary of components has it."""
    if name in _ACHIRAL:
        return "peptide linking"
    return _LINKING.get(gemmi.find_tabulated_residue(name).kind, "non-polymer")


def _complete_polymers(block: gemmi.cif.Block, structure: gemmi.Structure) -> None:
    """Canonical sequences, and flags of residues that are none of the twenty."""
    loop = block.find_loop("_entity_poly.entity_id").get_loop()
    if loop is None:
        return
    loop.add_columns(["_entity_poly.pdbx_seq_one_letter_code_can"], "?")
    loop.add_columns(["_entity_poly.nstd_monomer"], "no")
    loop.add_columns(["_entity_poly.nstd_linkage"], "no")
    tags = ["entity_id", "pdbx_seq_one_letter_code_can", "nstd_monomer"]
    for row in block.find("_entity_poly.", tags):
        names = structure.get_entity(row.str(0)).full_sequence
        kinds = [gemmi.find_tabulated_residue(gemmi.Entity.first_mon(n)) for n in names]
        letters = "".join(_canonical(kind) for kind in kinds)
        row[1] = gemmi.cif.quote(letters)
        row[2] = "no" if all(kind.is_standard() for kind in kinds) else "yes"


def _add_non_polymers(block: gemmi.cif.Block, structure: gemmi.Structure) -> None:
    """Components of the entities that are no polymers."""
    component = {residue.entity_id: residue.name for chain in structure[0] for residue in chain}
    found = [e.name for e in structure.entities if e.entity_type != gemmi.EntityType.Polymer]
    if found:
        loop = block.init_loop("_pdbx_entity_nonpoly.", ["entity_id", "comp_id"])
        for name in found:
            loop.add_row([name, gemmi.cif.quote(component[name])])


def _canonical(kind: gemmi.ResidueInfo) -> str:
    """One-letter code of the parent; X of other residues, nothing for caps."""
    if kind.is_amino_acid():
        return kind.one_letter_code.strip().upper() or "X"
    return "" if kind.name in ("ACE", "NH2") else "X"


def _complete_refinement(block: gemmi.cif.Block, model: FinishedModel) -> None:
    """Solvent, and details on the R factors, in the refine category."""
    scaled = model.scaled
    values: dict[str, str] = {}
    if scaled.k_sol > 0:
        values["_refine.solvent_model_details"] = gemmi.cif.quote("MASK BULK SOLVENT")
        values["_refine.solvent_model_param_ksol"] = f"{scaled.k_sol:.3f}"
        values["_refine.solvent_model_param_bsol"] = f"{scaled.b_sol:.1f}"
    values["_refine.details"] = gemmi.cif.quote(refinement_details(model))
    if math.isfinite(model.r.r_free_error):
        values["_refine.ls_R_factor_R_free_error"] = f"{model.r.r_free_error:.4f}"
    loop = block.find_loop("_refine.entry_id").get_loop()
    for tag, value in values.items():
        loop.add_columns([tag], value)


def _set_atom_sites(block: gemmi.cif.Block, structure: gemmi.Structure) -> None:
    """Matrix from Cartesian to fractional coordinates."""
    block.set_pair("_atom_sites.entry_id", gemmi.cif.quote(structure.name))
    for i, row in enumerate(structure.cell.frac.mat.tolist(), start=1):
        for j, value in enumerate(row, start=1):
            tag = f"_atom_sites.fract_transf_matrix[{i}][{j}]"
            block.set_pair(tag, f"{value:.8f}")
        block.set_pair(f"_atom_sites.fract_transf_vector[{i}]", "0.0")
