"""Sequences written in three-letter names: Gly-Asn-Asn, GLY ASN ASN, GlyAsnAsn."""

from __future__ import annotations

import re
from typing import Final

from crysformer.peptide.chain import RING
from crysformer.peptide.modified_residues import modified_name
from crysformer.peptide.residues import D_NAME_OF, NAME_OF

_LETTER_OF: Final = {name: letter for letter, name in NAME_OF.items()}
_D_NAMES: Final = frozenset(D_NAME_OF.values())
#: A name in brackets or not, and the hyphen that makes a D or L before a name its hand.
_TOKEN: Final = re.compile(
    r"(?:(?<![^\s(\-])([DL])-(?=\w{3}))?(?:\(([^()]*)\)|([^\s()\-]+))", re.IGNORECASE
)
#: Names of three letters that capitals separate.
_CAPITALISED: Final = re.compile(r"(?:[A-Z][a-z]{2}){2,}")
_ACETYL: Final = ("AC", "ACE", "ACETYL")


def one_letter_notation(text: str) -> str | None:
    """The same chain as `crysformer.peptide.chain.parse_chain` reads it.

    Parameters
    ----------
    text
        Three-letter names, standard or not, separated by spaces or hyphens or not at all, with
        ``D-`` before D residues, and with ends such as ``Ac-``, ``H-``, ``-OH`` and ``-NH2``, or
        as a ring, ``cyclo-(Leu-MeLeu-Phe)``.

    Returns
    -------
    One-letter codes, other residues in brackets; None if `text` is not written in this way: if it
    does not consist of at least two names.
    """
    ring = RING.fullmatch(text.strip())
    if ring:
        inside = one_letter_notation(ring[1])
        return None if inside is None else f"cyclo-({inside})"
    tokens = [
        (f"{hand}-{word}" if hand else brackets or word).upper()
        for hand, brackets, word in _TOKEN.findall(text)
    ]
    start = end = ""
    if tokens and tokens[0] in (*_ACETYL, "H"):
        start = "" if tokens.pop(0) == "H" else "Ac-"
    if tokens and tokens[-1] in ("NH2", "OH"):
        end = "-NH2" if tokens.pop() == "NH2" else ""
    if len(tokens) == 1 and len(tokens[0]) % 3 == 0:  # GlyAsnAsn
        joined = tokens[0]
        tokens = [joined[i : i + 3] for i in range(0, len(joined), 3)]
        if not all(name in _LETTER_OF for name in tokens):
            return None
    codes = [_code(token) for token in tokens]
    outside = re.sub(
        r"\([^()]*\)|\s|-", "", text
    )  # names in brackets alone are one-letter notation
    if len(codes) < 2 or not outside or None in codes or not any(len(t) > 2 for t in tokens):
        return None
    return start + "".join(filter(None, codes)) + end


_BRACKETS = re.compile(r"\([^()]*\)")
#: Groups at the ends of a chain, with their hyphens.
_ENDS = re.compile(r"^\s*(ac|ace|h)-|-(nh2|oh)\s*$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\S[\s-]+\S")


def unknown_names(text: str) -> list[str]:
    """Words that are no residue's name, in a chain that is written in three-letter names.

    It is taken as such if it has several words, most of them names, or all of three letters and
    one of them a name; also if capitals alone separate them (``GlyPheXyz``). Names in brackets
    alone do not make it one, since one-letter notation has them too.

    Parameters
    ----------
    text
        As for `one_letter_notation`.

    Returns
    -------
    Empty if every word is a name, or if the chain may be written in one-letter codes.
    """
    ring = RING.fullmatch(text.strip())
    if ring:
        return unknown_names(ring[1])
    if _CAPITALISED.fullmatch(text):
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    elif not _SEPARATOR.search(_ENDS.sub("", _BRACKETS.sub("", text))):
        return []
    known, unknown, plain = 0, list[str](), 0
    for hand, brackets, word in _TOKEN.findall(text):
        name = (f"{hand}-{word}" if hand else brackets or word).upper()
        if name in (*_ACETYL, "H", "NH2", "OH"):
            continue
        if _code(name) is None:
            unknown.append(name)
        else:
            known, plain = known + 1, plain + (not brackets)
    lengths = {len(name.removeprefix("D-").removeprefix("L-")) for name in unknown}
    if not plain or not lengths <= {1, 2, 3, 4}:
        return []
    return unknown if known > len(unknown) or lengths == {3} else []


def is_residue_name(text: str) -> bool:
    """Test for the name of one residue, as ``Gly`` or ``D-Ala``."""
    name = text.strip().upper()
    return len(name) > 2 and _code(name) is not None


def _code(name: str) -> str | None:
    """One-letter notation of a residue's name, in capitals; None if there is no such residue."""
    plain = name.removeprefix("D-").removeprefix("L-")
    if plain in _LETTER_OF:
        return f"(D-{plain})" if name.startswith("D-") else _LETTER_OF[plain]
    if plain == "X":
        return "(UNK)"
    known = plain in _D_NAMES or plain == "MSE" or (len(plain) > 2 and modified_name(plain))
    return f"({plain})" if known else None
