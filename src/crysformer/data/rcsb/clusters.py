"""Sequence clusters of the archive at 30 % identity, and the index table made of them.

RCSB PDB publishes them each week: one line for each cluster, the names of its polymer entities
separated by spaces, computed models among them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from crysformer.data.rcsb.http_client import Damaged
from crysformer.data.rcsb.search_query import entry_of
from crysformer.errors import InputError

CLUSTERS_URL: Final = "https://cdn.rcsb.org/resources/sequence/clusters/clusters-by-entity-30.txt"
#: Columns of the index that `dataset build` reads.
COLUMNS: Final = ("id", "pdb_id", "entity", "cluster_30")


def check_clusters(content: bytes) -> None:
    """Raise `Damaged` unless this looks like a file of clusters that has its end."""
    first = content.split(maxsplit=1)[:1]
    if not first or b"_" not in first[0] or b"<" in first[0]:
        raise Damaged("not a list of clusters")
    if not content.endswith(b"\n"):
        raise Damaged("its last line has no end")


def parse_clusters(content: bytes, entries: Iterable[str]) -> dict[str, str]:
    """Clusters of all polymer entities of some entries.

    Parameters
    ----------
    content
        The file of clusters.
    entries
        Codes of entries, in lower case.

    Returns
    -------
    Name of the cluster for each entity, in lower case. A cluster has the name of its first member.

    Raises
    ------
    InputError
        If the file is no ASCII text.
    """
    wanted = set(entries)
    found = {}
    try:
        lines = content.decode("ascii").lower().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"the list of sequence clusters is not text ({error})") from error
    for line in lines:
        members = line.split()
        found.update({name: members[0] for name in members if entry_of(name) in wanted})
    return found


def index_table(entities: Sequence[str], clusters: dict[str, str]) -> bytes:
    """Table for `dataset build`: the cluster of each file, and of its further entities.

    The row of a file, whose ``id`` is the entry's code, has the cluster of the first entity chosen
    from it. Further entities have rows of their own (``id`` 1abc_2), so that entries which share
    any cluster stay in one split.

    Parameters
    ----------
    entities
        Polymer entities chosen, in lower case.
    clusters
        Clusters of these and of the other entities of their entries; an entity without one forms
        its own.
    """
    chosen: dict[str, str] = {}
    for entity in entities:
        chosen.setdefault(entry_of(entity), entity)
    others: dict[str, list[str]] = {}
    for entity in sorted({*clusters, *entities}):
        entry = entry_of(entity)
        if entry in chosen and entity != chosen[entry]:
            others.setdefault(entry, []).append(entity)
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    for entry, first in sorted(chosen.items()):
        for key, entity in [(entry, first), *((name, name) for name in others.get(entry, []))]:
            number = entity.rsplit("_", 1)[1]
            table.writerow((key, entry, number, clusters.get(entity, entity)))
    return text.getvalue().encode()
