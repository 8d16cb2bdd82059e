"""Correspondence of numbers along the sequence and numbers of the author, as mmCIF lists it."""

from __future__ import annotations

import gemmi

_COMMON = [
    "ndb_seq_num",
    "pdb_seq_num",
    "auth_seq_num",
    "pdb_mon_id",
    "auth_mon_id",
    "pdb_strand_id",
    "pdb_ins_code",
]
_POLYMER = ["asym_id", "entity_id", "seq_id", "mon_id", *_COMMON, "hetero"]
_OTHER = ["asym_id", "entity_id", "mon_id", *_COMMON]


def add_residue_schemes(block: gemmi.cif.Block, structure: gemmi.Structure) -> None:
    """Add pdbx_poly_seq_scheme, with residues that are not modelled, and pdbx_nonpoly_scheme.

    Parameters
    ----------
    block
        Changed in place.
    structure
        With entities, subchains and sequence numbers (`polymer_entities.set_entities`).
    """
    polymer = block.init_loop("_pdbx_poly_seq_scheme.", _POLYMER)
    others: list[list[str]] = []
    for chain in structure[0]:
        for span in chain.subchains():
            entity = structure.get_entity_of(span)
            first = [span.subchain_id(), entity.name]
            if entity.entity_type != gemmi.EntityType.Polymer:
                for i, residue in enumerate(span, start=1):
                    own = _numbers(str(i), residue, chain.name)
                    others.append([*first, residue.name, *own])
                continue
            modelled = {residue.label_seq: residue for residue in span.first_conformer()}
            for i, names in enumerate(entity.full_sequence, start=1):
                name = gemmi.Entity.first_mon(names)
                own = _numbers(str(i), modelled.get(i), chain.name)
                polymer.add_row([*first, str(i), name, *own, "n"])
    if others:
        other = block.init_loop("_pdbx_nonpoly_scheme.", _OTHER)
        for row in others:
            other.add_row(row)


def _numbers(number: str, residue: gemmi.Residue | None, chain: str) -> list[str]:
    """Values of the common items; the author's are unknown for a residue that is not modelled."""
    strand = gemmi.cif.quote(chain)
    if residue is None:
        return [number, number, "?", "?", "?", strand, "."]
    insertion = residue.seqid.icode.strip() or "."
    own = str(residue.seqid.num)
    return [number, own, own, residue.name, residue.name, strand, insertion]
