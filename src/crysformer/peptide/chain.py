"""Notation of a peptide chain: one-letter codes, D residues, and blocked ends."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from crysformer.errors import InputError
from crysformer.peptide.modified_residues import modified_composition, modified_name
from crysformer.peptide.residues import CODES, D_NAME_OF, NAME_OF, atoms_of

#: Letter of a residue that is counted but has no model.
UNMODELLED: Final = "X"
_ELEMENTS: Final = ("C", "N", "O", "S", "Se", "P", "F", "I")
#: Changes of composition from a free to a blocked end.
_ACETYL, _AMIDE = {"C": 2, "O": 1}, {"N": 1, "O": -1}

_START: Final = re.compile(r"(?:\(ACE\)-?|AC-|ACE-|(?P<free>H-))")
_END: Final = re.compile(r"(?:-?\(NH2\)|-NH2|(?P<free>-OH))$")
_TOKEN: Final = re.compile(r"\(([^()]*)\)|(.)")


@dataclass(frozen=True)
class Chain:
    """Sequence of one chain, with the hand of its residues and its ends.

    Attributes
    ----------
    letters
        One-letter codes, capitals, whatever the hand; X for a residue that has no model.
    d_residues
        Positions of D residues in `letters`, from 0.
    acetyl
        Whether the first nitrogen is acetylated.
    amide
        Whether the last residue ends in NH2 instead of OXT.
    unmodelled
        Names of the residues X, in their order (`crysformer.peptide.modified_residues`).
    """

    letters: str
    d_residues: frozenset[int] = frozenset()
    acetyl: bool = False
    amide: bool = False
    unmodelled: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The chain as `parse_chain` reads it: ``Ac-EL(DAL)K-NH2``."""
        others = iter(self.unmodelled)
        codes = []
        for i, letter in enumerate(self.letters):
            if letter == UNMODELLED:
                codes.append(f"({next(others)})")
            else:
                codes.append(f"({D_NAME_OF[letter]})" if i in self.d_residues else letter)
        return f"{'Ac-' * self.acetyl}{''.join(codes)}{'-NH2' * self.amide}"

    def composition(self) -> dict[str, int]:
        """Atoms by element, hydrogen left out, the ends counted."""
        counts: Counter[str] = Counter(O=1)
        for letter in self.letters.replace(UNMODELLED, ""):
            counts.update(name[0] for name in atoms_of(letter))  # C, N, O and S have one letter
        for name in self.unmodelled:
            counts.update(modified_composition(name))
        counts.update(_ACETYL if self.acetyl else {})
        counts.update(_AMIDE if self.amide else {})
        return {element: counts[element] for element in _ELEMENTS if counts[element]}


@lru_cache(maxsize=1024)
def parse_chain(text: str, where: str = "sequence") -> Chain:
    """Read one chain.

    Parameters
    ----------
    text
        One-letter codes; small letters count as capitals. Residues in brackets: ``(D-Ala)``,
        ``(D-A)`` and the PDB's ``(DAL)`` are D residues, ``(ALA)`` is A, ``(MSE)`` counts as M.
        Other residues by their name in the PDB, ``(AIB)`` or ``(ORN)``, and the letters X, B, Z, J,
        U and O are counted, but have no model.
        ``Ac-`` or ``(ACE)`` before and ``-NH2`` or ``(NH2)`` after the chain are its ends; ``H-``
        and ``-OH`` say that they are free.
    where
        What to call it in messages.

    Raises
    ------
    InputError
        If a letter or name is unknown.
    """
    rest = "".join(text.split()).upper()
    start, end = _START.match(rest), _END.search(rest)
    if start and start["free"] and start.end() >= (end.start() if end else len(rest)):
        start = None  # H-NH2 is the amide of histidine, not a chain of no residues
    acetyl = start is not None and start["free"] is None
    amide = end is not None and end["free"] is None
    rest = rest[start.end() if start else 0 : end.start() if end else None]
    letters, d_residues, unmodelled = "", set(), []
    for match in _TOKEN.finditer(rest):
        name = match[2] if match[1] is None else match[1]
        found = _residue(name)
        if found is None:
            what = f"letter {name!r}" if match[1] is None else f"residue ({name:.60})"
            raise InputError(
                f"{where}: unknown {what} at position {len(letters) + 1}; expected the twenty "
                f"residues {''.join(sorted(CODES))}, (D-Ala) or (DAL) for D residues, (AIB) or X "
                "for others, Ac- and -NH2; the sequence may also be left out"
            )
        letter, mirrored, other = found
        if mirrored:
            d_residues.add(len(letters))
        if other:
            unmodelled.append(other)
        letters += letter
    return Chain(letters, frozenset(d_residues), acetyl, amide, tuple(unmodelled))


def letters_of(text: str) -> str:
    """One-letter codes of a chain, whatever the hand of its residues and its ends."""
    return parse_chain(text).letters


def _residue(name: str) -> tuple[str, bool, str] | None:
    """Letter of a residue, a flag of D residues, and the name of one without model."""
    if name in ("MSE", "SEMET"):
        return "M", False, ""
    mirrored = name.startswith("D-")
    plain = name.removeprefix("D-").removeprefix("L-")
    for letter, own_name in NAME_OF.items():
        if plain in (letter, own_name):
            return letter, mirrored and letter != "G", ""
        if name == D_NAME_OF.get(letter):
            return letter, True, ""
    other = modified_name(plain)
    return None if other is None else (UNMODELLED, False, other)
