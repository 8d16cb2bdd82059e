"""Residues that a user defines: their components become known to sequences and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import gemmi
import numpy as np

from crysformer.peptide.chain import parse_chain
from crysformer.peptide.component import Component, component_of
from crysformer.peptide.modified_residues import definitions
from crysformer.peptide.residue_shape import residue_shape
from crysformer.peptide.residues import BACKBONE, LETTER_OF

_LEAST_VOLUME = 1.0  # A^3, of the three bonds of an alpha carbon that has a hand


def add_residues(documents: Iterable[gemmi.cif.Document]) -> tuple[str, ...]:
    """Make the amino acids of definitions known in this process, by their names.

    Parameters
    ----------
    documents
        Component definitions or monomer dictionaries, as `dictionary` of building. What they hold
        beside amino acids with the backbone N, CA, C, O is left aside, as are residues
        without coordinates and the twenty.

    Returns
    -------
    Names of the residues that were added, in capitals; those known before have the new definition.
    """
    found: dict[str, Component] = {}
    for document in documents:
        for block in document:
            component = component_of(block)
            if component is not None and _is_amino_acid(component):
                found[component.name.upper()] = _with_hand(component)
    register(found)
    return tuple(found)


def register(components: Mapping[str, Component]) -> None:
    """Add definitions by name to those that come with the package."""
    if components:
        definitions().update(components)
        parse_chain.cache_clear()
        residue_shape.cache_clear()


def _is_amino_acid(component: Component) -> bool:
    at = {name: i for i, name in enumerate(component.atoms)}
    if component.name.upper() in LETTER_OF or not {*BACKBONE} <= at.keys():
        return False
    bonds = {frozenset(bond[:2]) for bond in component.bonds}
    needed = (("N", "CA"), ("CA", "C"), ("C", "O"))
    return all(frozenset((at[a], at[b])) in bonds for a, b in needed)


def _with_hand(component: Component) -> Component:
    """The same with a type that begins with D- or L-, from the coordinates where it has none."""
    if component.kind.startswith(("D-", "L-")):
        return component
    at = {name: i for i, name in enumerate(component.atoms)}
    ca = at["CA"]
    side = [
        sum(bond[:2]) - ca
        for bond in component.bonds
        if ca in bond[:2] and component.element[int(sum(bond[:2])) - ca] not in ("H", "D")
    ]
    side = [i for i in side if component.atoms[i] not in ("N", "C")]
    if len(side) != 1 or not component.chiral[ca]:
        return component
    n, c, beta = (component.xyz[i] - component.xyz[ca] for i in (at["N"], at["C"], side[0]))
    volume = float(n @ np.cross(c, beta))
    if abs(volume) < _LEAST_VOLUME:
        return component
    return replace(component, kind="L-PEPTIDE LINKING" if volume > 0 else "D-PEPTIDE LINKING")
