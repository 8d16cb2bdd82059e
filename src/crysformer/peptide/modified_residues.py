"""Residues that are counted but not modelled: their names and compositions."""

from __future__ import annotations

import re
from typing import Final

#: An amino acid of which nothing is known, as the PDB writes it, of four carbon atoms.
UNKNOWN: Final = "UNK"

#: Atoms but hydrogen inside a chain (without OXT) by three-letter name, as the chemical component
#: dictionary of the PDB has them; of ambiguous letters those of either choice (N or O alike).
_FORMULAS: Final = {
    "UNK": "C4NO", "ASX": "C4N2O2", "GLX": "C5N2O2", "XLE": "C6NO",
    # aliphatic
    "AIB": "C4NO", "ABA": "C4NO", "NVA": "C5NO", "NLE": "C6NO", "BAL": "C3NO", "SAR": "C3NO",
    "MAA": "C4NO", "MVA": "C6NO", "MLE": "C7NO", "BMT": "C10NO2", "ALC": "C9NO", "CHG": "C8NO",
    "DHA": "C3NO", "DBU": "C4NO", "STA": "C8NO2",
    # hydroxylated, cyclic, acidic
    "HYP": "C5NO2", "PCA": "C5NO2", "HSE": "C4NO2", "CGU": "C6NO5",
    # basic
    "ORN": "C5N2O", "DAB": "C4N2O", "DPP": "C3N2O", "CIR": "C6N3O2", "LYZ": "C6N2O2",
    "MLZ": "C7N2O", "MLY": "C8N2O", "M3L": "C9N2O", "ALY": "C8N2O2", "KCX": "C7N2O3",
    "PYL": "C12N3O2",
    # sulphur and selenium
    "CSO": "C3NO2S", "CSD": "C3NO3S", "OCS": "C3NO4S", "CME": "C5NO2S2", "HCS": "C4NOS",
    "FME": "C6NO2S", "MHO": "C5NO2S", "SEC": "C3NOSe",
    # phosphorylated
    "SEP": "C3NO5P", "TPO": "C4NO5P", "PTR": "C9NO5P",
    # aromatic
    "TIC": "C10NO", "NAL": "C13NO", "BIF": "C15NO", "PHG": "C8NO", "PHI": "C9NOI",
    "IYR": "C9NO2I", "TYI": "C9NO2I2", "FTR": "C11N2OF", "TYS": "C9NO5S",
    # groups at the ends
    "FOR": "CO", "ETA": "C2NO", "NME": "CN", "BOC": "C5O2", "PHQ": "C8O2",
}  # fmt: skip

#: Other names in use, in capitals.
_ALIASES: Final = {
    "X": "UNK", "XAA": "UNK", "B": "ASX", "Z": "GLX", "J": "XLE", "U": "SEC", "O": "PYL",
    "PGLU": "PCA", "GLP": "PCA", "PYROGLU": "PCA", "BALA": "BAL", "CIT": "CIR", "HCY": "HCS",
    "CHA": "ALC", "DAP": "DPP", "DHB": "DBU", "HYL": "LYZ", "PSER": "SEP", "PTHR": "TPO",
    "PTYR": "PTR", "ABU": "ABA", "MEVAL": "MVA", "MELEU": "MLE", "MEALA": "MAA", "MEGLY": "SAR",
    "1NAL": "NAL", "2NAL": "NAL", "HLYS": "LYZ", "SEMET": "MSE", "CBZ": "PHQ", "4HYP": "HYP",
}  # fmt: skip


def modified_name(name: str) -> str | None:
    """Three-letter name of a residue of this table, from any of its names; else None."""
    plain = name.upper()
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _FORMULAS else None


def modified_composition(name: str) -> dict[str, int]:
    """Atoms by element, hydrogen left out, of a residue with a name that `modified_name` gives."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", _FORMULAS[name])
    return {element: int(number or 1) for element, number in parts}
