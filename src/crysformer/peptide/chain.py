"""How a peptide chain is written: one-letter codes, D residues, and blocked ends."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import gemmi

from crysformer.errors import InputError

#: C, N, O and S atoms of each residue inside a chain (without OXT).
ATOMS: Final = {
    "A": (3, 1, 1, 0),
    "R": (6, 4, 1, 0),
    "N": (4, 2, 2, 0),
    "D": (4, 1, 3, 0),
    "C": (3, 1, 1, 1),
    "Q": (5, 2, 2, 0),
    "E": (5, 1, 3, 0),
    "G": (2, 1, 1, 0),
    "H": (6, 3, 1, 0),
    "I": (6, 1, 1, 0),
    "L": (6, 1, 1, 0),
    "K": (6, 2, 1, 0),
    "M": (5, 1, 1, 1),
    "F": (9, 1, 1, 0),
    "P": (5, 1, 1, 0),
    "S": (3, 1, 2, 0),
    "T": (4, 1, 2, 0),
    "W": (11, 2, 1, 0),
    "Y": (9, 1, 2, 0),
    "V": (5, 1, 1, 0),
}
#: Three-letter names of L residues.
NAMES: Final = {letter: gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA) for letter in ATOMS}
#: Those of D residues in the chemical component dictionary of the PDB.
D_NAMES: Final = {
    "A": "DAL",
    "R": "DAR",
    "N": "DSG",
    "D": "DAS",
    "C": "DCY",
    "Q": "DGN",
    "E": "DGL",
    "H": "DHI",
    "I": "DIL",
    "L": "DLE",
    "K": "DLY",
    "M": "MED",
    "F": "DPN",
    "P": "DPR",
    "S": "DSN",
    "T": "DTH",
    "W": "DTR",
    "Y": "DTY",
    "V": "DVA",
}
#: Atoms that a blocked end has more than a free one: C, N, O.
_ACETYL, _AMIDE = {"C": 2, "O": 1}, {"N": 1, "O": -1}

_START: Final = re.compile(r"(?:\(ACE\)-?|AC-|ACE-|(?P<free>H-))")
_END: Final = re.compile(r"(?:-?\(NH2\)|-NH2|(?P<free>-OH))$")
_TOKEN: Final = re.compile(r"\(([^()]*)\)|(.)")


@dataclass(frozen=True)
class Chain:
    """One chain.

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
            f"({D_NAMES[letter]})" if i in self.d_residues else letter
            for i, letter in enumerate(self.letters)
        ]
        return f"{'Ac-' * self.acetyl}{''.join(codes)}{'-NH2' * self.amide}"

    def composition(self) -> dict[str, int]:
        """Atoms by element, hydrogen left out, the ends counted."""
        counts: Counter[str] = Counter(O=1)
        for letter in self.letters:
            counts.update(dict(zip("CNOS", ATOMS[letter], strict=True)))
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
        elif letter not in ATOMS:
            raise InputError(
                f"{where}: unknown letter {letter!r} at position {len(letters) + 1}; expected the "
                f"twenty residues {''.join(sorted(ATOMS))}, (D-Ala) for D residues, Ac- and -NH2"
            )
        letters += letter
    return Chain(letters, frozenset(d_residues), acetyl, amide)


def letters_of(text: str) -> str:
    """One-letter codes of a chain, whatever the hand of its residues and its ends."""
    return parse_chain(text).letters


def _named(name: str, where: str, position: int) -> tuple[str, bool]:
    """One-letter code of a residue in brackets, and whether it is D."""
    if name == "MSE":
        return "M", False
    mirrored = name.startswith("D-")
    plain = name.removeprefix("D-").removeprefix("L-")
    for letter in NAMES:
        if plain in (letter, NAMES[letter]):
            return letter, mirrored and letter != "G"
        if name == D_NAMES.get(letter):
            return letter, True
    raise InputError(
        f"{where}: unknown residue ({name}) at position {position}; expected a name such as "
        "(D-Ala), (DAL) or (MSE)"
    )
