"""Sequences of one or more chains, as text or from a file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crysformer.errors import InputError, UsageError
from crysformer.file_content import STDIN, read_content
from crysformer.peptide.chain import RING, Chain, parse_chain
from crysformer.peptide.three_letter import is_residue_name, one_letter_notation, unknown_names

#: Header of an entry in PIR format, whose next line describes it.
_PIR: Final = re.compile(r">[A-Z][A-Z0-9];")
#: Numbers of residues between or before their letters.
_COUNTS: Final = re.compile(r"(?<!\S)\d+(?!\S)")
#: Letters of residues beside the twenty that words of plain text hold as well.
_RARE: Final = {"U": "selenocysteine (SEC)", "O": "pyrrolysine (PYL)"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")
#: Marks of the encoding at the beginning of a file.
_ENCODINGS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))
_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")


class Chains(tuple[str, ...]):
    """Chains as read: `sequences_of` does not read them again, since notations can be alike."""

    __slots__ = ()


@dataclass(frozen=True)
class SequenceReading:
    """Chains, and what reading had to assume.

    Attributes
    ----------
    chains
        One string for each chain, as `read_sequences` returns them.
    notes
        One sentence each.
    """

    chains: Chains
    notes: tuple[str, ...] = ()


def read_sequences(text_or_path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read one or more chains' sequences.

    Parameters
    ----------
    text_or_path
        One-letter codes, several chains separated by commas (``"GNNQQNY"``, ``"LVH,SSN"``), or a
        file with one or more chains: FASTA, PIR, or SEQRES records of the PDB. Small letters and
        three-letter names (``"Gly-Asn-Asn"``) are accepted. D residues, blocked ends
        (``Ac-ELLK(D-Ala)LG-NH2``) and other residues as `crysformer.peptide.chain.parse_chain`
        says.

    Returns
    -------
    tuple of str
        One string for each chain, in the order given: the twenty letters, D residues as ``(DAL)``
        and so on, ``Ac-`` and ``-NH2`` where an end is blocked.

    Raises
    ------
    InputError
        If the file is missing or empty, or a letter or residue in it is unknown.
    UsageError
        If text that is not a file holds an unknown letter or residue, or an empty chain.
    """
    return read_sequences_with_notes(text_or_path).chains


def read_sequences_with_notes(text_or_path: str | os.PathLike[str]) -> SequenceReading:
    """Read sequences as `read_sequences` does, and say what had to be assumed."""
    text = os.fspath(text_or_path)
    if text == STDIN or _is_file(text):
        return _read_file(text)
    is_folder = os.sep in text and Path(text).is_dir()
    if is_folder or os.sep in text or "." in text:
        what = "is a folder" if is_folder else "no such file"
        raise InputError(f"{text}: {what}, expected a FASTA file or one-letter codes")
    where = f"sequence {text!r:.60}"
    try:
        return _reading([(where, part) for part in _chains_of(text)], where)
    except InputError as error:  # no file is to blame
        raise UsageError(str(error)) from error


def sequences_of(sequence: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read the chains that a library call was given.

    Parameters
    ----------
    sequence
        As for `read_sequences`, or several such strings, or None.

    Returns
    -------
    tuple of str
        One string for each chain, as `read_sequences` returns them; empty for None.

    Raises
    ------
    InputError, UsageError
        As for `read_sequences`.
    """
    if sequence is None:
        return ()
    if isinstance(sequence, Chains):
        return sequence
    parts = [sequence] if isinstance(sequence, str) else sequence
    return Chains(chain for part in parts for chain in read_sequences(part))


def _is_file(text: str) -> bool:
    """Test for a file or pipe; text that no file could be called is codes."""
    try:
        mode = os.stat(text).st_mode
    except (OSError, ValueError):  # ValueError: a null character
        return False
    return not stat.S_ISDIR(mode)


def _read_file(name: str) -> SequenceReading:
    text = _decoded(read_content(name, "a sequence"), name)
    chains: list[tuple[str, str]] = []
    described = False
    for line in _seqres(text) or text.splitlines():
        if described:  # the second line of a PIR entry
            described = False
        elif line.lstrip().startswith(">"):
            described = _PIR.match(line.lstrip()) is not None
            header = line.lstrip()[1:].strip()
            chains.append((header[:40] or str(len(chains) + 1), ""))
        elif line.strip() and not line.startswith((";", "#")):
            if not chains:
                chains.append(("1", ""))
            header, letters = chains[-1]
            chains[-1] = (header, f"{letters} {_COUNTS.sub(' ', line).strip()}")
    parts = [
        (f"{name}: chain {header}", part)
        for header, letters in chains
        for part in _chains_of(letters.replace("/", ","))  # PIR separates chains by slashes
    ]
    return _reading(parts, name)


def _decoded(content: bytes, name: str) -> str:
    """Text in UTF-8 or UTF-16, else Latin-1: what is not ASCII can only be a header."""
    encoding = next(encoding for mark, encoding in _ENCODINGS if content.startswith(mark))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.translate(_INVISIBLE).rstrip("\x1a")  # the end of a file of DOS
    if _CONTROL.search(text):
        raise InputError(f"{name}: cannot be read as a FASTA file (binary content)")
    return text


def _seqres(text: str) -> list[str]:
    """SEQRES records as lines of FASTA; empty if there are none."""
    lines: list[str] = []
    last = ""
    for line in text.splitlines():
        if line.startswith("SEQRES"):
            chain = line[11:12]
            if not lines or chain != last:
                lines.append(f">{chain.strip() or '1'}")
            lines.append(line[19:70])
            last = chain
    return lines


def _chains_of(text: str) -> list[str]:
    """Chains between commas; names of residues between commas are one chain."""
    parts = text.split(",")
    names = sum(map(is_residue_name, parts))
    # most of them: one that is not known is refused as such
    alike = 2 * names > len(parts) and all(len(part.strip()) == 3 for part in parts)
    return ["-".join(parts)] if len(parts) > 1 and (alike or names == len(parts)) else parts


def _reading(parts: list[tuple[str, str]], where: str) -> SequenceReading:
    """Parse the chains, each with what to call it in messages."""
    chains, notes = [], []
    for name, text in parts:
        plain = text.translate(_INVISIBLE).translate(_DASHES).strip().removesuffix("*")
        letters = one_letter_notation(plain)
        unknown = unknown_names(plain) if letters is None else []
        if unknown:
            raise InputError(
                f"{name}: {', '.join(unknown)} among three-letter names is not the name of a known "
                "residue; write the PDB's name or X for it, one-letter codes without spaces, or "
                "leave the sequence out"
            )
        chain = parse_chain(plain if letters is None else letters, name)
        if letters is not None:
            notes.append(f"{name}: read as three-letter names, {chain}")
        notes += _notes(chain, plain if letters is None else letters, name)
        chains.append(chain)
    if not chains or not all(chain.letters for chain in chains):
        raise InputError(f"{where}: an empty chain; expected one-letter codes such as GNNQQNY")
    return SequenceReading(Chains(map(str, chains)), tuple(notes))


def _notes(chain: Chain, text: str, where: str) -> list[str]:
    notes = []
    ring = RING.fullmatch(text.strip())
    text = ring[1] if ring else text
    codes = re.sub(r"\([^()]*\)|^\s*(Ac|H)-|-(NH2|OH)\s*$", "", text, flags=re.IGNORECASE)
    small = sorted({letter for letter in codes if letter.islower()})
    if small and any(letter.isupper() for letter in codes):
        notes.append(
            f"{where}: the small letter{'s' * (len(small) > 1)} {''.join(small)} "
            f"count{'s' * (len(small) == 1)} as L, as capitals do; write D residues as (D-Ala) or "
            "(DAL)"
        )
    rare = [f"{letter} as {_RARE[letter]}" for letter in _RARE if letter in codes.upper()]
    if rare:
        notes.append(
            f"{where}: read {' and '.join(rare)}; if that is not meant, correct the sequence"
        )
    if chain.unmodelled:
        names = ", ".join(dict.fromkeys(chain.unmodelled))
        notes.append(
            f"{where}: {names} counted in the composition of the cell, but without a model; the "
            "sequence search and the network do not apply"
        )
    return notes
