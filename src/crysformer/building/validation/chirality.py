"""Hands of chiral centres against the names of the residues."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from crysformer.building.validation.conformers import Conformer, Site
from crysformer.building.validation.residue_topology import is_d, parent
from crysformer.peptide import residues
from crysformer.peptide.geometry import build_peptides

#: Three neighbours of each centre, first those of every residue but glycine.
_ALPHA = ("CA", ("N", "C", "CB"))
_BETA = {"ILE": ("CB", ("CA", "CG1", "CG2")), "THR": ("CB", ("CA", "OG1", "CG2"))}


def wrong_hands(conformers: list[Conformer]) -> list[tuple[Site, str]]:
    """Chiral centres whose hand is not that of the residue's name: places and atom names."""
    found = []
    for conformer in conformers:
        name = parent(conformer.site.name)
        if name is None:
            continue
        for centre, expected in _volumes(name).items():
            arms = dict([_ALPHA, *([_BETA[name]] if name in _BETA else [])])[centre]
            if all(atom in conformer.xyz for atom in (centre, *arms)):
                hand = -1 if is_d(conformer.site.name) else 1
                if _volume(conformer.xyz, centre, arms) * expected * hand < 0:
                    found.append((conformer.site, centre))
    return found


@lru_cache(maxsize=32)
def _volumes(name: str) -> dict[str, float]:
    """Chiral volumes of the L residue, A^3."""
    if name == "GLY":
        return {}
    letter = residues.CODES[residues.NAMES.index(name)]
    peptide = build_peptides((letter,))
    xyz = dict(zip(peptide.names, peptide.xyz, strict=True))
    centres = [_ALPHA, *([_BETA[name]] if name in _BETA else [])]
    return {centre: _volume(xyz, centre, arms) for centre, arms in centres}


def _volume(xyz: dict[str, NDArray[np.float64]], centre: str, arms: tuple[str, str, str]) -> float:
    return float(np.linalg.det(np.array([xyz[arm] - xyz[centre] for arm in arms])))
