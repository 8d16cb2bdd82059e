"""Sequences of the chains in structure files, and the stretches that two of them share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import gemmi

from crysformer.peptide import residues

#: Length of a stretch that unrelated proteins do not share: that of a fragment of recipe fifteen.
SHARED: Final = 15
_UNKNOWN: Final = "X"


def stretches(sequence: str) -> Iterator[str]:
    """All stretches of 15 known residues of a sequence."""
    for start in range(len(sequence) - SHARED + 1):
        stretch = sequence[start : start + SHARED]
        if _UNKNOWN not in stretch:
            yield stretch


def chain_sequences(structure: gemmi.Structure) -> list[str]:
    """Observed residues of each chain of the first model, one letter each, X for unknown ones.

    Chains of fewer residues than a stretch are left out; other molecules than peptides read X.
    """
    found = []
    for chain in structure[0] if len(structure) else ():
        names = [residue.name for residue in chain.first_conformer()]
        letters = "".join(_letter(name) for name in names).strip(_UNKNOWN)
        if len(letters) >= SHARED:
            found.append(letters)
    return found


def _letter(name: str) -> str:
    letter = gemmi.find_tabulated_residue(name).one_letter_code.upper()
    return letter if letter in residues.CODES else _UNKNOWN
