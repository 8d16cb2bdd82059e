"""Results of a list of crystals: records, results.tsv and results.json, and what is complete."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crysformer.crystal.io.crystal_list import ListedCrystal
from crysformer.errors import InputError
from crysformer.files import atomic_path, write_json
from crysformer.schema import read_json_object, record
from crysformer.wording import counted

#: Columns of results.tsv.
FIELDS = (
    "name", "data", "sequence", "copies", "status", "confidence", "method", "hand_probability",
    "seconds", "starts", "warnings", "message",
)  # fmt: skip
#: What is in the folder of a crystal that is complete.
RESULTS = ("solution.mtz", "solution.ccp4", "summary.json")
#: Fraction of the time limit after which an unsolved crystal counts as searched for all of it.
_SEARCHED = 0.8


@dataclass(frozen=True)
class _Row:
    """Line of the results; its fields are `FIELDS`."""

    name: str
    data: str
    sequence: str | None
    copies: int | None
    status: str
    confidence: float | None
    method: str | None
    hand_probability: float | None
    seconds: float | None
    starts: int | None
    warnings: int | None
    message: str | None


@dataclass(frozen=True)
class _Stored:
    """Content of results.json."""

    n: int
    solved: int
    not_solved: int
    failed: int
    crystals: list[dict[str, Any]]


def record_of(crystal: ListedCrystal, status: str, **more: Any) -> dict[str, Any]:
    """Record of a crystal, the values of `FIELDS`: those of the list, `status` and `more`."""
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    given = {name: str(x) if name == "data" else x for name, x in vars(crystal).items()}
    return {**record, **given, "status": status, **more}


def solved_record(crystal: ListedCrystal, summary: dict[str, Any]) -> dict[str, Any]:
    """Record of a crystal from its summary.json."""
    return record_of(
        crystal,
        "solved" if summary["solved"] else "not solved",
        confidence=summary["confidence"],
        method=summary["method"],
        hand_probability=summary["hand_probability"],
        seconds=summary["seconds"],
        starts=summary["starts"],
        warnings=len(summary["data"]["warnings"]),
    )


def complete_records(
    folder: Path, crystals: Sequence[ListedCrystal], time_limit: float
) -> dict[str, dict[str, Any]]:
    """Records, by name, of the crystals that an earlier run with the same list row finished.

    An unsolved crystal is finished once it was searched for about `time_limit` seconds.
    """
    path = folder / "results.json"
    if not path.exists():
        return {}
    try:
        stored = record(_Stored, read_json_object(path))
        earlier = {values["name"]: asdict(record(_Row, values)) for values in stored.crystals}
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not the results of a list ({error}); remove it") from error
    return {
        crystal.name: earlier[crystal.name]
        for crystal in crystals
        if crystal.name in earlier
        and _is_searched(earlier[crystal.name], time_limit)
        and _is_of(earlier[crystal.name], crystal)
        and all((folder / crystal.name / name).is_file() for name in RESULTS)
    }


def _is_searched(row: dict[str, Any], time_limit: float) -> bool:
    """Check if a crystal was solved, or searched for about `time_limit` seconds."""
    if row["confidence"] is None or row["seconds"] is None:
        return False
    enough: bool = row["seconds"] >= _SEARCHED * time_limit
    return row["status"] == "solved" or (row["status"] == "not solved" and enough)


def _is_of(row: dict[str, Any], crystal: ListedCrystal) -> bool:
    """Check if a row of the results is of the same data, sequence and copies."""
    given = record_of(crystal, "")
    return all(row[name] == given[name] for name in ("data", "sequence", "copies"))


def content(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Content of results.json."""
    states = [record["status"] for record in records]
    return {
        "n": len(records),
        "solved": states.count("solved"),
        "not_solved": states.count("not solved"),
        "failed": states.count("failed"),
        "crystals": records,
    }


def write_results(
    folder: Path, crystals: tuple[ListedCrystal, ...], done: dict[str, dict[str, Any]]
) -> None:
    """results.tsv and results.json of what is done, in the order of the list."""
    records = [done[crystal.name] for crystal in crystals if crystal.name in done]
    write_json(folder / "results.json", content(records))
    with (
        atomic_path(folder / "results.tsv") as path,
        open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        table = csv.DictWriter(file, FIELDS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(records)


def _line(record: dict[str, Any]) -> str:
    if record["status"] == "failed":
        return f"{record['name']}: failed"  # why is among the errors at the end
    return (
        f"{record['name']}: {record['status']}, confidence {record['confidence']:.2f}, "
        f"{record['method']}, {record['seconds']:.1f} s"
    )


def results_table(records: list[dict[str, Any]]) -> str:
    """Lines for a console, one for each crystal and the numbers of them last."""
    found = content(records)
    return "\n".join(
        [
            *(_line(record) for record in records),
            f"{counted(found['n'], 'crystal')}: {found['solved']} solved, "
            f"{found['not_solved']} not solved, {found['failed']} failed",
        ]
    )
