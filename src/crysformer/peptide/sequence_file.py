"""Sequences of one or more chains, as text or from a FASTA file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from crysformer.errors import InputError
from crysformer.peptide.chain import letters_of, parse_chain


def read_sequences(text_or_path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read one or more chains' sequences.

    Parameters
    ----------
    text_or_path
        One-letter codes, several chains separated by commas (``"GNNQQNY"``, ``"LVH,SSN"``), or a
        FASTA file with one or more chains. Small letters are accepted. D residues, blocked ends
        (``Ac-ELLK(D-Ala)LG-NH2``) and ``(MSE)`` as `crysformer.peptide.chain.parse_chain` says.

    Returns
    -------
    tuple of str
        One string for each chain, in the order given: the twenty letters, D residues as ``(DAL)``
        and so on, ``Ac-`` and ``-NH2`` where an end is blocked.

    Raises
    ------
    InputError
        If the file is missing or empty, or a letter is not one of the twenty residues.
    """
    text = os.fspath(text_or_path)
    path = Path(text)
    try:
        is_file, is_folder = path.is_file(), path.is_dir() and os.sep in text
    except OSError:  # longer than any file name: codes
        is_file, is_folder = False, False
    if is_file:
        return _read_file(path)
    if is_folder or (os.sep in text or "." in text):
        what = "is a folder" if is_folder else "no such file"
        raise InputError(f"{text}: {what}, expected a FASTA file or one-letter codes")
    chains = [str(parse_chain(chain, f"sequence {text!r:.60}")) for chain in text.split(",")]
    return _checked(chains, f"sequence {text!r:.60}")


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
    InputError
        As for `read_sequences`.
    """
    if sequence is None:
        return ()
    parts = [sequence] if isinstance(sequence, str) else sequence
    return tuple(chain for part in parts for chain in read_sequences(part))


def _read_file(path: Path) -> tuple[str, ...]:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a FASTA file ({error})") from error
    chains: list[tuple[str, str]] = []
    for line in content.splitlines():
        if line.startswith(">"):
            chains.append((line[1:].strip()[:40] or str(len(chains) + 1), ""))
        elif line.strip() and not line.startswith(";"):
            if not chains:
                chains.append(("1", ""))
            name, letters = chains[-1]
            chains[-1] = (name, letters + line.strip())
    cleaned = [
        str(parse_chain(part, f"{path}: chain {name}"))
        for name, letters in chains
        for part in letters.split(",")
    ]
    return _checked(cleaned, str(path))


def _checked(chains: list[str], where: str) -> tuple[str, ...]:
    if not chains or not all(letters_of(chain) for chain in chains):
        raise InputError(f"{where}: an empty chain; expected one-letter codes such as GNNQQNY")
    return tuple(chains)
