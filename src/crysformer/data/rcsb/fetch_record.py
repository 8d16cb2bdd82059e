"""Record of a download: what was asked for, what fits, and what was had."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crysformer.data.rcsb.clusters import CLUSTERS_URL
from crysformer.data.rcsb.download import FILES_URL
from crysformer.data.rcsb.search_query import SEARCH_URL, is_entity
from crysformer.errors import InputError
from crysformer.schema import read_json_object, record

#: File of the record.
RECORD: Final = "fetch.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class Service:
    """Addresses of the archive, or of a mirror.

    Attributes
    ----------
    search
        The Search API.
    files
        Folder of the mmCIF files.
    clusters
        Clusters of sequences at 30 % identity.
    """

    search: str = SEARCH_URL
    files: str = FILES_URL
    clusters: str = CLUSTERS_URL


@dataclass(frozen=True)
class Fetched:
    """Content of ``fetch.json``: what was asked for, chosen, and found.

    Attributes
    ----------
    criteria, representatives
        The request; `representatives` is True for one entity of each 30 % cluster.
    service
        Addresses.
    seed
        Seed of the order in which entities are taken.
    date
        Day of the search, UTC.
    request
        The first page's request, as it was sent.
    entities
        All polymer entities that fit, in the order in which they are taken.
    clusters_sha256
        Checksum of the file of clusters.
    fraction, limit
        Part of `entities` that was taken.
    counts
        Entities and entries; files kept, downloaded, changed and missing; bytes. Empty while the
        download has not been finished.
    missing
        Entries that the server does not have.
    failed
        Entries that could not be read, each with the reason.
    format
        Version of this layout.
    """

    criteria: dict[str, Any]
    representatives: bool
    service: dict[str, str]
    seed: int
    date: str
    request: dict[str, Any]
    entities: list[str]
    clusters_sha256: str
    fraction: float = 1.0
    limit: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def read(cls, path: Path) -> Fetched:
        """Read what `fetch` wrote.

        Raises
        ------
        InputError
            If it is something else.
        """
        try:
            found = record(cls, read_json_object(path))
            record(Service, found.service)
            if not found.entities or not all(map(is_entity, found.entities)):
                raise ValueError("entities that are none")
        except ValueError as error:
            raise InputError(f"{path}: not the record of a download ({error})") from error
        if found.format != FORMAT:
            raise InputError(f"{path}: format {found.format}, this version reads {FORMAT}")
        return found

    def taken(self) -> list[str]:
        """Polymer entities that belong to the fraction and limit."""
        part = self.entities[: max(1, round(self.fraction * len(self.entities)))]
        return part if self.limit is None else part[: self.limit]


def in_order(entities: Sequence[str], seed: int) -> list[str]:
    """Order by a hash of seed and name: an archive that grows leaves it as it is."""
    return sorted(entities, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
