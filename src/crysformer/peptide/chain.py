"""Notation of a peptide chain: one-letter codes, D residues, and blocked ends."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from crysformer.errors import InputError
from crysformer.peptide.residues import CODES, D_NAME_OF, NAME_OF, atoms_of

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
        One-letter codes, capitals, whatever the hand.
    d_residues
        Positions of D residues in `letters`, from 0.
    acetyl
        Whether the first nitrogen is acetylated.
    amide
        Whether the last residue ends in NH2 instead of OXT.
    """

    letters: str
    d_residues: frozenset[int] = frozenset()
    acetyl: bool = False
    amide: bool = False

    def __str__(self) -> str:
        """The chain as `parse_chain` reads it: ``Ac-EL(DAL)K-NH2``."""
        codes = [
            f"({D_NAME_OF[letter]})" if i in self.d_residues else letter
            for i, letter in enumerate(self.letters)
        ]
        return f"{'Ac-' * self.acetyl}{''.join(codes)}{'-NH2' * self.amide}"

    def composition(self) -> dict[str, int]:
        """Atoms by element, hydrogen left out, the ends counted."""
        counts: Counter[str] = Counter(O=1)
        for letter in self.letters:
            counts.update(name[0] for name in atoms_of(letter))  # C, N, O and S have one letter
        counts.update(_ACETYL if self.acetyl else {})
        counts.update(_AMIDE if self.amide else {})
        return {element: counts[element] for element in "CNOS" if counts[element]}


@lru_cache(maxsize=1024)
def parse_chain(text: str, where: str = "sequence") -> Chain:
    """Read one chain.

    Parameters
    ----------
    text
        One-letter codes; small letters count as capitals. Residues in brackets: ``(D-Ala)``,
        ``(D-A)`` and the PDB's ``(DAL)`` are D residues, ``(ALA)`` is A, ``(MSE)`` counts as M.
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
    letters, d_residues = "", set()
    for match in _TOKEN.finditer(rest):
        name, letter = match[1], match[2]
        if name is not None:
            letter, mirrored = _named(name, where, len(letters) + 1)
            if mirrored:
                d_residues.add(len(letters))
        elif letter not in CODES:
            raise InputError(
                f"{where}: unknown letter {letter!r} at position {len(letters) + 1}; expected the "
                f"twenty residues {''.join(sorted(CODES))}, (D-Ala) for D residues, Ac- and -NH2"
            )
        letters += letter
    return Chain(letters, frozenset(d_residues), acetyl, amide)


def letters_of(text: str) -> str:
    """One-letter codes of a chain, whatever the hand of its residues and its ends."""
    return parse_chain(text).letters


def _named(name: str, where: str, position: int) -> tuple[str, bool]:
    """One-letter code of a residue in brackets, and a flag of D residues."""
    if name == "MSE":
        return "M", False
    mirrored = name.startswith("D-")
    plain = name.removeprefix("D-").removeprefix("L-")
    for letter, own_name in NAME_OF.items():
        if plain in (letter, own_name):
            return letter, mirrored and letter != "G"
        if name == D_NAME_OF.get(letter):
            return letter, True
    raise InputError(
        f"{where}: unknown residue ({name}) at position {position}; expected a name such as "
        "(D-Ala), (DAL) or (MSE)"
    )
