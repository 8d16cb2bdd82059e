"""Notation of a peptide chain: one-letter codes, D residues, and blocked ends."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from crysformer.errors import InputError
from crysformer.peptide.modified_residues import definitions, modified_composition, modified_name
from crysformer.peptide.residues import CODES, D_NAME_OF, LETTER_OF, NAME_OF, atoms_of
from crysformer.wording import counted

#: Letter of every residue beside the twenty.
MODIFIED: Final = "X"
_ELEMENTS: Final = ("C", "N", "O", "S", "Se", "P", "F", "I")
#: Changes of composition from a free to a blocked end.
_ACETYL, _AMIDE = {"C": 2, "O": 1}, {"N": 1, "O": -1}
#: D residues whose L residue is beside the twenty.
_D_OF: Final = {"ORN": "ORD", "NLE": "DNE", "ABA": "DBB", "MEA": "ZAE"}
_D_KIND: Final = "D-"  # how the type of a component that is a D residue begins

_START: Final = re.compile(r"(?:\(ACE\)-?|AC-|ACE-|(?P<free>H-))")
_END: Final = re.compile(r"(?:-?\(NH2\)|-NH2|(?P<free>-OH))$")
#: A chain whose ends are bonded to each other.
RING: Final = re.compile(r"cyclo\s*-?\s*\((.*)\)", re.IGNORECASE)
_TOKEN: Final = re.compile(r"\(([^()]*)\)|(.)")


@dataclass(frozen=True)
class Chain:
    """Sequence of one chain, with the hand of its residues and its ends.

    Attributes
    ----------
    letters
        One-letter codes, capitals, whatever the hand; X for a residue beside the twenty.
    d_residues
        Positions of D residues in `letters`, from 0.
    acetyl
        Whether the first nitrogen is acetylated.
    amide
        Whether the last residue ends in NH2 instead of OXT.
    modified
        Names of the residues X, in their order (`crysformer.peptide.modified_residues`).
    cyclic
        Whether the last residue is bonded to the first.
    """

    letters: str
    d_residues: frozenset[int] = frozenset()
    acetyl: bool = False
    amide: bool = False
    modified: tuple[str, ...] = ()
    cyclic: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Three-letter names of the residues, those of the PDB for D residues."""
        others = iter(self.modified)
        return tuple(
            next(others)
            if letter == MODIFIED
            else (D_NAME_OF if i in self.d_residues else NAME_OF)[letter]
            for i, letter in enumerate(self.letters)
        )

    @property
    def unmodelled(self) -> tuple[str, ...]:
        """Names of the residues that are counted but have no model."""
        return tuple(name for name in self.modified if name not in definitions())

    @property
    def achiral(self) -> frozenset[int]:
        """Positions of residues that have no hand, or an unknown one: glycine, AIB."""
        return frozenset(i for i, name in enumerate(self.names) if not _has_hand(name))

    def __str__(self) -> str:
        """The chain as `parse_chain` reads it: ``Ac-EL(DAL)K-NH2``, ``cyclo-(L(MLE)F)``."""
        plain = set(NAME_OF.values())
        codes = "".join(
            letter if name in plain else f"({name})"
            for letter, name in zip(self.letters, self.names, strict=True)
        )
        if self.cyclic:
            return f"cyclo-({codes})"
        return f"{'Ac-' * self.acetyl}{codes}{'-NH2' * self.amide}"

    def composition(self) -> dict[str, int]:
        """Atoms by element, hydrogen left out, the ends counted."""
        counts: Counter[str] = Counter(O=0 if self.cyclic else 1)
        for letter in self.letters.replace(MODIFIED, ""):
            counts.update(name[0] for name in atoms_of(letter))  # C, N, O and S have one letter
        for name in self.modified:
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
        U and O; those without a definition (`Chain.unmodelled`) are only counted.
        ``Ac-`` or ``(ACE)`` before and ``-NH2`` or ``(NH2)`` after the chain are its ends; ``H-``
        and ``-OH`` say that they are free. ``cyclo-(...)`` is a ring.
    where
        What to call it in messages.

    Raises
    ------
    InputError
        If a letter or name is unknown, or if a ring has fewer than two residues or ends.
    """
    written = "".join(text.split())
    rest = written.upper()
    if len(rest) != len(written):  # of letters such as sharp s, which have no capital
        written = rest
    ring = RING.fullmatch(rest)
    if ring:
        return _ring(ring[1], where)
    if rest.startswith(("CYCLO-", "CYCLO(")):
        raise InputError(f"{where}: an incomplete ring; expected cyclo-(...), with both brackets")
    start, end = _START.match(rest), _END.search(rest)
    if start and start["free"] and start.end() >= (end.start() if end else len(rest)):
        start = None  # H-NH2 is the amide of histidine, not a chain of no residues
    acetyl = start is not None and start["free"] is None
    amide = end is not None and end["free"] is None
    inside = slice(start.end() if start else 0, end.start() if end else None)
    rest, written = rest[inside], written[inside]
    letters, d_residues, modified = "", set(), []
    for match in _TOKEN.finditer(rest):
        name = match[2] if match[1] is None else match[1]
        found = _residue(name)
        if found is None:
            typed = written[slice(*match.span(2 if match[1] is None else 1))]
            what = f"letter {typed!r}" if match[1] is None else f"residue ({typed:.60})"
            raise InputError(
                f"{where}: unknown {what} at position {len(letters) + 1}; expected the twenty "
                f"residues {''.join(sorted(CODES))}, (D-Ala) or (DAL) for D residues, (AIB) or X "
                "for others, Ac- and -NH2; the sequence may also be left out"
            )
        letter, mirrored, other = found
        if mirrored:
            d_residues.add(len(letters))
        if other:
            modified.append(other)
        letters += letter
    return Chain(letters, frozenset(d_residues), acetyl, amide, tuple(modified))


def _ring(inside: str, where: str) -> Chain:
    chain = parse_chain(inside, where)
    if len(chain.letters) < 2 or chain.acetyl or chain.amide or chain.cyclic:
        raise InputError(
            f"{where}: a ring of {counted(len(chain.letters), 'residue')}; expected two residues "
            "or more, and no ends"
        )
    return replace(chain, cyclic=True)


def _has_hand(name: str) -> bool:
    """Test for an alpha carbon with a hand; residues without a definition count as having none."""
    if name in LETTER_OF:
        return name != "GLY"
    component = definitions().get(name)
    return component is not None and component.chiral[component.atoms.index("CA")]


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
    if other is None:
        return None
    if mirrored:
        other = _D_OF.get(other, f"D-{other}")  # without a name of its own, it is only counted
    component = definitions().get(other)
    return MODIFIED, component is not None and component.kind.startswith(_D_KIND), other
