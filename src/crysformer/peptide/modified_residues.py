"""Residues beside the twenty: their names, their definitions, and compositions of those without."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from importlib import resources
from typing import Final

import gemmi

from crysformer.peptide.component import Component, component_of

#: An amino acid of which nothing is known, as the PDB writes it, of four carbon atoms.
UNKNOWN: Final = "UNK"

#: Residues that are counted but not modelled: atoms but hydrogen inside a chain (without OXT) by
#: name; of ambiguous letters those of either choice (N or O alike). Names are those of the
#: chemical component dictionary of the PDB, but TIC and PHG, which are others there.
_FORMULAS: Final = {
    "UNK": "C4NO", "ASX": "C4N2O2", "GLX": "C5N2O2", "XLE": "C6NO",
    # another backbone
    "BAL": "C3NO", "STA": "C8NO2",
    "TIC": "C10NO", "PHG": "C8NO",
    # groups at the ends
    "FME": "C6NO2S", "FOR": "CO", "ETA": "C2NO", "NME": "CN", "BOC": "C5O2", "PHQ": "C8O2",
}  # fmt: skip

#: Other names in use, in capitals.
_ALIASES: Final = {
    "X": "UNK", "XAA": "UNK", "B": "ASX", "Z": "GLX", "J": "XLE", "U": "SEC", "O": "PYL",
    "PGLU": "PCA", "GLP": "PCA", "PYROGLU": "PCA", "BALA": "BAL", "CIT": "CIR", "HCY": "HCS",
    "CHA": "ALC", "DAP": "DPP", "DHB": "DBU", "HYL": "LYZ", "PSER": "SEP", "PTHR": "TPO",
    "PTYR": "PTR", "ABU": "ABA", "MEVAL": "MVA", "MELEU": "MLE", "MEALA": "MAA", "MEGLY": "SAR",
    "MEILE": "IML", "MEPHE": "MEA", "METYR": "YNM", "1NAL": "NAL", "2NAL": "NAL", "HLYS": "LYZ",
    "CBZ": "PHQ", "4HYP": "HYP",
}  # fmt: skip

#: Atoms that residues inside a chain lack.
_LEAVING: Final = ("OXT", "HXT")


@lru_cache(maxsize=1)
def definitions() -> dict[str, Component]:
    """Definitions of residues by name, of the wwPDB's Chemical Component Dictionary."""
    text = (
        resources.files("crysformer.peptide").joinpath("modified_residues.cif").read_text("utf-8")
    )
    found = map(component_of, gemmi.cif.read_string(text))
    return {component.name: component for component in found if component is not None}


def modified_name(name: str) -> str | None:
    """Three-letter name of a known residue beside the twenty, from any of its names; else None."""
    plain = name.upper()
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _FORMULAS or plain in definitions() else None


def modified_composition(name: str) -> dict[str, int]:
    """Atoms by element, hydrogen left out, of a residue with a name that `modified_name` gives.

    ``D-`` may stand before the name.
    """
    name = name.removeprefix("D-")
    if name in _FORMULAS:
        parts = re.findall(r"([A-Z][a-z]?)(\d*)", _FORMULAS[name])
        return {element: int(number or 1) for element, number in parts}
    component = definitions()[name]
    inside = zip(component.atoms, component.element, strict=True)
    return dict(Counter(x for atom, x in inside if atom not in _LEAVING and x != "H"))
