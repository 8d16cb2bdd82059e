"""Facts about entries, from an index table or the file header, and criteria of acceptance."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi

from crysformer.data.criteria import PAPER, Criteria
from crysformer.data.dataset.sources import StructureFile
from crysformer.errors import InputError

_PDB_ID = re.compile(r"(pdb_[0-9a-z]{8}|[0-9][0-9a-z]{3})(?![0-9a-z])", re.IGNORECASE)
_UNKNOWN_METHODS = {"", "not recorded", "unknown", "?", "."}


@dataclass(frozen=True)
class Entry:
    """Facts about the entry that a file belongs to; None where unknown.

    Attributes
    ----------
    name
        PDB code in lower case, or the file's stem.
    method
        Experimental method in upper case, as recorded.
    resolution
        High-resolution limit, A.
    r_free
        Free R value, a fraction.
    year
        Year of release, or of deposition where only that is recorded.
    cluster
        Sequence cluster (30 % identity) of the chain in this file.
    recorded_as
        The index's PDB code, or free text in its place such as "unbound partner of 1abc": files
        with the same text stay in one split.
    """

    name: str
    method: str | None = None
    resolution: float | None = None
    r_free: float | None = None
    year: int | None = None
    cluster: str | None = None
    recorded_as: str | None = None


class EntryIndex:
    """A table of entries: TSV with a header row.

    A row belongs to a file by its ``id`` column (file name without suffixes), else ``file`` (file
    name), else ``pdb_id``. ``pdb_id``, ``method``, ``resolution``, ``r_free``, ``year`` and
    ``cluster_30`` are read where they exist; empty cells are unknown.
    """

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @classmethod
    def read(cls, path: str | Path) -> EntryIndex:
        """Read the table.

        Raises
        ------
        InputError
            If the file is missing, not text, or has none of the columns that tie a row to a file.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: index cannot be read ({error}); expected a TSV table"
            ) from error
        reader = csv.DictReader(text.splitlines(), delimiter="\t")
        columns = reader.fieldnames or ()
        key = next((c for c in ("id", "file", "pdb_id") if c in columns), None)
        if key is None:
            raise InputError(
                f"{path}: index has columns {', '.join(columns) or '(none)'}; expected one of "
                "id, file, pdb_id to tie rows to files"
            )
        entries: dict[str, Entry] = {}
        for line, row in enumerate(reader, start=2):
            stem = StructureFile(row[key] or "", None).stem
            name = _row_name(row, stem)
            try:
                entries[stem.lower()] = Entry(
                    name=name,
                    method=_method(row.get("method")),
                    resolution=_number(row.get("resolution")),
                    r_free=_number(row.get("r_free")),
                    year=None if not row.get("year") else int(row["year"]),
                    cluster=row.get("cluster_30") or None,
                    recorded_as=(row.get("pdb_id") or "").lower() or None,
                )
            except ValueError as error:
                raise InputError(
                    f"{path}: line {line} of the index: {error}; expected a number"
                ) from error
        return cls(entries)

    def entries(self) -> list[Entry]:
        """All rows."""
        return list(self._entries.values())

    def of_file(self, stem: str) -> Entry:
        """The row of the file with this stem, or an entry with only a name."""
        name = entry_name(stem)
        return self._entries.get(stem.lower()) or self._entries.get(name) or Entry(name)


def _row_name(row: dict[str, str], stem: str) -> str:
    """The row's PDB code, else its file's name without the chain: never free text."""
    code = row.get("pdb_id") or ""
    if _PDB_ID.fullmatch(code):
        return code.lower()
    chain = row.get("chain")
    return stem.removesuffix(f"_{chain}").lower() if chain else entry_name(stem)


def entry_name(stem: str) -> str:
    """PDB code that a file name starts with (``1abc_A`` -> ``1abc``), else the whole stem."""
    found = _PDB_ID.match(stem)
    return (found.group(1) if found else stem).lower()


def with_header(entry: Entry, structure: gemmi.Structure, text: bytes) -> Entry:
    """Complete the entry from the header of the structure file."""
    info = dict(structure.info)
    refinement = list(structure.meta.refinement)
    r_free = [r.r_free for r in refinement if math.isfinite(r.r_free) and r.r_free > 0]
    resolution = structure.resolution if structure.resolution > 0 else None
    return replace(
        entry,
        method=entry.method or _method(info.get("_exptl.method")),
        resolution=entry.resolution or resolution,
        r_free=entry.r_free or (min(r_free) if r_free else None),
        year=entry.year or _year(info, text),
    )


def refusals(entry: Entry, criteria: Criteria = PAPER) -> list[str]:
    """Reasons, by the criteria, to reject the entry; empty if it is accepted."""
    reasons = []
    method = entry.method
    if method is not None and "X-RAY" not in method and not _unspecified_diffraction(method):
        reasons.append("entry_not_xray")
    if entry.year is not None and entry.year <= criteria.released_after:
        reasons.append(f"entry_released_before_{criteria.released_after + 1}")
    if entry.resolution is not None and entry.resolution > criteria.max_resolution:
        reasons.append(f"entry_resolution_worse_than_{criteria.max_resolution:g}")
    if entry.r_free is not None and entry.r_free > criteria.max_r_free:
        reasons.append(f"entry_r_free_above_{criteria.max_r_free:g}")
    return reasons


def unknowns(entry: Entry) -> list[str]:
    """Criteria that could not be applied for lack of information (kept, unless strict)."""
    reasons = []
    if entry.method is None:
        reasons.append("method_unknown")
    elif _unspecified_diffraction(entry.method):
        reasons.append("method_unspecified_diffraction")
    if entry.year is None:
        reasons.append("release_date_unknown")
    if entry.resolution is None:
        reasons.append("resolution_unknown")
    if entry.r_free is None:
        reasons.append("r_free_unknown")
    return reasons


def _unspecified_diffraction(method: str) -> bool:
    # "diffraction" alone (pdb_entry_type) covers X-ray, neutron and electron diffraction.
    return method.startswith("DIFFRACTION")


def _method(value: str | None) -> str | None:
    if value is None or value.strip().lower() in _UNKNOWN_METHODS:
        return None
    return value.strip().upper()


def _number(value: str | None) -> float | None:
    if value is None or value.strip() in ("", "?", "."):
        return None
    return float(value)


def _year(info: dict[str, str], text: bytes) -> int | None:
    """Year of release: first REVDAT or revision date; else the deposition date."""
    revision = text.find(b"\nREVDAT   1 ")
    released = re.match(rb"\nREVDAT   1   \d\d-[A-Z]{3}-(\d\d)", text[revision : revision + 30])
    if revision >= 0 and released:
        two_digits = int(released.group(1))
        return two_digits + (1900 if two_digits >= 70 else 2000)
    if b"_pdbx_audit_revision_history" in text:
        dates = sorted(
            gemmi.cif.as_string(row[0])
            for block in gemmi.cif.read_string(text)
            for row in block.find("_pdbx_audit_revision_history.", ["revision_date"])
        )
        if dates and dates[0][:4].isdigit():
            return int(dates[0][:4])
    deposited = info.get("_pdbx_database_status.recvd_initial_deposition_date", "")
    return int(deposited[:4]) if deposited[:4].isdigit() else None
