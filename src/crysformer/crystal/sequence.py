"""Sequences, what they are made of, and how many copies a cell can hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gemmi

from crysformer.crystal.chain import letters_of, parse_chain
from crysformer.errors import InputError, UsageError

#: No crystal is denser than this, in A^3 for each atom but hydrogen (solvent-free peptides: 16).
MIN_VOLUME_PER_ATOM: Final = 10.0
#: Usual in peptide crystals (little solvent) and in protein crystals (Matthews: half solvent).
_PEPTIDE_VOLUME_PER_ATOM: Final = 19.0
_PROTEIN_VOLUME_PER_ATOM: Final = 35.0
#: Residues in all chains together up to which, and from which, those two apply.
_PEPTIDE_RESIDUES: Final = 6
_PROTEIN_RESIDUES: Final = 30


def read_sequences(text_or_path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read one or more chains' sequences.

    Parameters
    ----------
    text_or_path
        One-letter codes, several chains separated by commas (``"GNNQQNY"``, ``"LVH,SSN"``), or a
        FASTA file with one or more chains. Small letters are accepted. D residues, blocked ends
        (``Ac-ELLK(D-Ala)LG-NH2``) and ``(MSE)`` as `crysformer.crystal.chain.parse_chain` says.

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


def composition(sequence: str) -> dict[str, int]:
    """Atoms of one chain by element, hydrogen left out, the terminal OXT counted.

    Parameters
    ----------
    sequence
        One-letter codes of one chain, as `read_sequences` returns them.
    """
    return parse_chain(sequence).composition()


def cell_composition(
    space_group: gemmi.SpaceGroup, sequences: Sequence[str], copies: int
) -> dict[str, int]:
    """Atoms of the whole unit cell by element, hydrogen left out.

    `copies` are of all chains, in the asymmetric unit.
    """
    total: Counter[str] = Counter()
    for sequence in sequences:
        total.update(composition(sequence))
    images = copies * len(space_group.operations())
    return {element: images * count for element, count in total.items()}


def count_atoms(sequences: Sequence[str]) -> int:
    """Atoms but hydrogen in one copy of all chains, with their terminal OXT."""
    return sum(sum(composition(sequence).values()) for sequence in sequences)


@dataclass(frozen=True)
class CopyEstimate:
    """How many copies of the given chains the asymmetric unit holds.

    Attributes
    ----------
    copies
        The number, at least 1.
    volume_per_atom
        A^3 of the asymmetric unit for each atom but hydrogen, with that many copies.
    statement
        One sentence for the user.
    """

    copies: int
    volume_per_atom: float
    statement: str


def estimate_copies(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, sequences: Sequence[str]
) -> CopyEstimate:
    """Estimate the copies of all chains in the asymmetric unit from the volume for each atom.

    Small peptides crystallise with little solvent, near 19 A^3 for each atom but hydrogen;
    proteins with about half solvent, near 35 A^3 (Matthews, 1968: 2.5 A^3/Da); in between a
    straight line. The copy
    number whose volume is nearest on a logarithmic scale is taken. A P 1 cell with three right
    angles, which nature hardly makes but data sets of single molecules use at any size, counts
    as one copy.

    Parameters
    ----------
    cell, space_group
        Of the crystal.
    sequences
        The chains of one copy.

    Raises
    ------
    InputError
        If not even one copy fits (see `check_fits`).
    """
    check_fits(cell, space_group, sequences)
    volume = _asu_volume(cell, space_group)
    atoms = count_atoms(sequences)
    if space_group.number == 1 and cell.alpha == cell.beta == cell.gamma == 90.0:
        per_atom = volume / atoms
        return CopyEstimate(
            1,
            per_atom,
            f"1 copy assumed: a P 1 cell with three right angles is taken to hold one molecule "
            f"({per_atom:.0f} A^3 for each atom); --copies N to change",
        )
    residues = sum(len(letters_of(sequence)) for sequence in sequences)
    share = (residues - _PEPTIDE_RESIDUES) / (_PROTEIN_RESIDUES - _PEPTIDE_RESIDUES)
    usual = _PEPTIDE_VOLUME_PER_ATOM + min(max(share, 0.0), 1.0) * (
        _PROTEIN_VOLUME_PER_ATOM - _PEPTIDE_VOLUME_PER_ATOM
    )
    ideal = volume / (atoms * usual)
    low = max(1, int(ideal))
    # Nearest on a logarithmic scale: the border between n and n + 1 is their geometric mean.
    copies = low + 1 if ideal * ideal > low * (low + 1) else low
    per_atom = volume / (atoms * copies)
    copies_are = "1 copy" if copies == 1 else f"{copies} copies"
    return CopyEstimate(
        copies,
        per_atom,
        f"{copies_are} in the asymmetric unit, estimated from {per_atom:.1f} A^3 for each atom "
        f"(usual for this size: {usual:.0f}); --copies N to change",
    )


def check_fits(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    sequences: Sequence[str],
    copies: int = 1,
) -> None:
    """Refuse more atoms than any crystal of this cell could hold.

    Raises
    ------
    InputError
        If the asymmetric unit offers less than `MIN_VOLUME_PER_ATOM` for each atom.
    UsageError
        If `copies` is below 1.
    """
    if copies < 1:
        raise UsageError(f"--copies {copies}: expected at least 1")
    volume = _asu_volume(cell, space_group)
    atoms = copies * count_atoms(sequences)
    if volume < MIN_VOLUME_PER_ATOM * atoms:
        what = "the sequence has" if copies == 1 else f"{copies} copies of the sequence have"
        raise InputError(
            f"{what} {atoms} atoms, but the asymmetric unit of {volume:.0f} A^3 "
            f"({space_group.xhm()}) holds at most {int(volume / MIN_VOLUME_PER_ATOM)}; check the "
            "sequence, the copies, and the cell"
        )


def _asu_volume(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> float:
    return float(cell.volume) / len(space_group.operations())
