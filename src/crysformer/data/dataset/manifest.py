"""Provenance and figures of a data set: the content of ``manifest.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crysformer.data.criteria import PAPER
from crysformer.data.store import FRAGMENTS, SCHEMA, SPLITS
from crysformer.errors import InputError
from crysformer.files import write_json
from crysformer.schema import read_json_object, record, shown

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Provenance, figures and constants of a data set.

    Attributes
    ----------
    recipe, constants
        Name of the recipe and all its constants.
    seed, strict, limit
        As given to `build`.
    sources
        Name and SHA-256 of every structure file or archive read, in order.
    index
        Name and SHA-256 of the index table, or None.
    counts
        Amount of input read, and content of the data set by split.
    discards
        Input not used, by reason: files, entries, chains, residues, windows, fragments.
    kept_unknown
        Files kept although a criterion could not be checked, by criterion.
    changes
        Alterations made in standardising.
    problems
        Files without usable fragments, each with the reason.
    scales
        Extremes and root mean square of the training maps: ``density`` (e/A^3) and ``patterson``
        (e^2/A^3), each with ``scale`` = max(max, |min|), and the number of examples used.
    hashes
        ``content``: SHA-256 of all values, whatever the Parquet writer; ``fragments.parquet``:
        of the file's bytes.
    versions
        Versions of the software that wrote it.
    criteria
        Criteria of the choice of entries; the paper's in older manifests, which lack them.
    representatives
        True if only the best resolved file of each cluster was used.
    repair
        True if missing side-chain atoms were rebuilt.
    format
        Version of this layout.
    """

    recipe: str
    constants: dict[str, Any]
    seed: int
    strict: bool
    limit: int | None
    sources: list[dict[str, str]]
    index: dict[str, str] | None
    counts: dict[str, Any]
    discards: dict[str, int]
    kept_unknown: dict[str, int]
    changes: dict[str, int]
    problems: list[dict[str, str]]
    scales: dict[str, Any]
    hashes: dict[str, str]
    versions: dict[str, str]
    criteria: dict[str, Any] = field(default_factory=lambda: asdict(PAPER))
    representatives: bool = False
    repair: bool = False
    format: int = FORMAT

    @property
    def unreadable(self) -> list[dict[str, str]]:
        """Problems of damaged files, without those of files that hold nothing usable."""
        return [p for p in self.problems if p["kind"] == "file_unreadable"]

    def write(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read a manifest written by `write`.

        Raises
        ------
        InputError
            If it is damaged, or of another version.
        """
        values = read_json_object(path)
        if values.get("format") != FORMAT:
            raise InputError(
                f"{path}: format {shown(values.get('format'))}, this version reads {FORMAT}; build "
                "the data set again"
            )
        try:
            manifest = record(cls, values)
        except ValueError as error:
            raise InputError(f"{path}: not a manifest of a data set ({error})") from error
        for name in ("content", FRAGMENTS):
            if name not in manifest.hashes:
                raise InputError(f"{path}: not a manifest of a data set (no hash of {name})")
        return manifest


def content_hash(table: pa.Table) -> str:
    """SHA-256 of a fragment table's values, column by column."""
    digest = hashlib.sha256()
    for name in SCHEMA.names:
        column = table[name].combine_chunks()
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            if pa.types.is_string(chunk.type):
                digest.update("\n".join(chunk.to_pylist()).encode())
            elif pa.types.is_list(chunk.type) or pa.types.is_fixed_size_list(chunk.type):
                digest.update(chunk.flatten().to_numpy(zero_copy_only=False).tobytes())
            else:
                digest.update(chunk.to_numpy(zero_copy_only=False).tobytes())
        digest.update(b"\0")
    return digest.hexdigest()


def split_counts(table: pa.Table) -> dict[str, dict[str, int]]:
    """Fragments, entries and groups of related entries in each split."""
    counts: dict[str, dict[str, int]] = {"fragments": {}, "entries": {}, "clusters": {}}
    for split in SPLITS:
        rows = table.filter(pc.equal(table["split"], split))
        counts["fragments"][split] = rows.num_rows
        counts["entries"][split] = len(rows["entry"].unique())
        counts["clusters"][split] = len(rows["cluster"].unique())
    return counts


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts as a plain dictionary in alphabetical order, zeros left out."""
    return {name: counts[name] for name in sorted(counts) if counts[name]}
