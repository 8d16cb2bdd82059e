"""The best resolved file of each sequence cluster, among those that fit the criteria."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crysformer.data.criteria import Criteria
from crysformer.data.dataset.entries import Entry, EntryIndex, refusals, unknowns, with_header
from crysformer.data.dataset.sequences import chain_sequences
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.dataset.standardise import parse, peptides


@dataclass(frozen=True)
class Surveyed:
    """What is known of a file before its fragments are made.

    Attributes
    ----------
    stem
        File name without suffixes, in lower case.
    entry
        Its entry; completed from the header if `survey` was told to.
    sequences
        Those of its chains.
    longest
        Observed residues of its longest chain.
    """

    stem: str
    entry: Entry
    sequences: list[str]
    longest: int


def survey(index: EntryIndex, with_headers: bool, files: Iterable[StructureFile]) -> list[Surveyed]:
    """Read the sequences of files, and if wanted their headers; unreadable files are left out."""
    found = []
    for file in files:
        loaded = file.loaded()
        try:
            structure = parse(loaded)
        except ValueError:  # named when it is curated
            continue
        entry, longest = index.of_file(file.stem), 0
        if with_headers:
            entry = with_header(entry, structure, loaded.content or b"")
            polymers = peptides(structure) if len(structure) else []
            longest = max((polymer.length() for _, polymer in polymers), default=0)
        found.append(Surveyed(file.stem.lower(), entry, chain_sequences(structure), longest))
    return found


def representatives(
    surveyed: Iterable[Surveyed], criteria: Criteria, strict: bool
) -> frozenset[str]:
    """Stems of the files to use: of each cluster the one of the best resolution.

    Files that the criteria refuse, or with short chains only, stand for no cluster; an unknown
    resolution comes last, and the name decides between equal ones. Files without a cluster are all
    used.
    """
    best: dict[str, tuple[float, str]] = {}
    alone = set()
    for file in surveyed:
        entry = file.entry
        if refusals(entry, criteria) or (strict and unknowns(entry)):
            continue
        if entry.cluster is None or file.longest < criteria.min_length:
            alone.add(file.stem)  # of a short one, the chains are counted where they are left out
            continue
        resolution = float("inf") if entry.resolution is None else entry.resolution
        rank = (resolution, file.stem)
        best[entry.cluster] = min(rank, best.get(entry.cluster, rank))
    return frozenset(alone | {stem for _, stem in best.values()})
