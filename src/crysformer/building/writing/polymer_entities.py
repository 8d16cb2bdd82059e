"""Entities, subchains and sequence numbers of a model, with the sequences of what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, product
from string import ascii_uppercase

import gemmi

from crysformer.peptide.chain import Chain, parse_chain
from crysformer.peptide.modified_residues import UNKNOWN

_LEAST_IDENTITY = 0.5  # of modelled residues, in percent / 100, for a chain to have a sequence


def residue_names(chain: Chain) -> list[str]:
    """Three-letter names of a chain, with its blocked ends."""
    names = ["ACE"] * chain.acetyl + list(chain.names) + ["NH2"] * chain.amide
    return [UNKNOWN if name.startswith("D-") else name for name in names]


def set_entities(structure: gemmi.Structure, sequences: Sequence[str]) -> None:
    """Give a structure entities 1, 2, ..., subchains A, B, ..., and numbers along the sequence.

    Chains of one sequence are one entity. A chain that none of the sequences fits has the
    sequence of its modelled residues.

    Parameters
    ----------
    structure
        Changed in place.
    sequences
        In the notation of `crysformer.peptide.chain.parse_chain`.
    """
    structure.setup_entities()
    known = [residue_names(parse_chain(sequence)) for sequence in sequences]
    entities: dict[tuple[object, ...], gemmi.Entity] = {}
    labels = _labels()
    for chain in structure[0]:
        for span in list(chain.subchains()):
            kind = structure.get_entity_of(span)
            names = _sequence_of(span, kind, known)
            # chains of one sequence, and molecules of one component, are one entity
            key = (kind.entity_type, *(names or [span[0].name]))
            if key not in entities:
                entity = gemmi.Entity(str(len(entities) + 1))
                entity.entity_type = kind.entity_type
                entity.polymer_type = kind.polymer_type
                entity.full_sequence = names
                entities[key] = entity
            label = next(labels)
            entities[key].subchains = [*entities[key].subchains, label]
            for residue in span:
                residue.subchain = label
                residue.entity_id = entities[key].name
    structure.entities = gemmi.EntityList(list(entities.values()))
    structure.assign_label_seq_id(True)
    structure.assign_het_flags()


def _labels() -> Iterator[str]:
    """A to Z, AA to ZZ, and so on."""
    for length in count(1):
        for letters in product(ascii_uppercase, repeat=length):
            yield "".join(letters)


def _sequence_of(
    span: gemmi.ResidueSpan, entity: gemmi.Entity, known: list[list[str]]
) -> list[str]:
    """Full sequence of a polymer: the known one that fits best, else its modelled residues."""
    if entity.entity_type != gemmi.EntityType.Polymer:
        return []
    modelled = span.extract_sequence()
    best, most = modelled, _LEAST_IDENTITY
    for names in known:
        if len(names) < len(modelled):
            continue
        result = gemmi.align_sequence_to_polymer(names, span, entity.polymer_type)
        identity = result.match_count / max(1, len(modelled))
        if identity > most:
            best, most = names, identity
    return best
