"""Crystals that programs are compared on: from the command line, a list, or simulated."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from crysformer.crystal.io.crystal_list import crystal_name
from crysformer.data.store import FragmentStore, Split
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.files import atomic_path

COLUMNS = ("data", "truth", "sequence", "copies", "name")
NONE = "-"  # in place of a truth that is not known, on the command line
SIMULATED = "simulated"  # folder of simulated crystals below the output


@dataclass(frozen=True)
class PeerCrystal:
    """One crystal.

    Attributes
    ----------
    name
        Name in the tables.
    data
        Reflection file.
    truth
        Model, or MTZ file of true phases; None where not known.
    sequence
        One-letter codes or the path of a FASTA file; None where not given.
    copies
        Copies in the asymmetric unit; None where not given.
    simulated
        True if the truth is exact, so that *solved* is a mean cosine (`evaluation.scoring`).
    """

    name: str
    data: Path
    truth: Path | None = None
    sequence: str | None = None
    copies: int | None = None
    simulated: bool = False


def from_words(words: Sequence[str]) -> PeerCrystal:
    """A crystal from DATA, TRUTH and SEQUENCE, of which the latter two may be absent or ``-``.

    Raises
    ------
    UsageError
        If there are more than three words.
    """
    if not 1 <= len(words) <= 3:
        raise UsageError(
            f"`crystal` {' '.join(words)}: expected DATA, DATA TRUTH or DATA TRUTH SEQUENCE"
        )
    data, truth, sequence = (*words, *[NONE] * (3 - len(words)))
    return PeerCrystal(
        name=crystal_name(Path(data)),
        data=_existing(Path(data), "reflections"),
        truth=None if truth == NONE else _existing(Path(truth), "a model or true phases"),
        sequence=None if sequence == NONE else sequence,
    )


def read_peer_list(path: str | Path) -> list[PeerCrystal]:
    """Read a tab-separated list whose header names some of `COLUMNS`, with ``data`` among them.

    Paths are relative to the list; cells other than ``data`` may be empty.

    Raises
    ------
    InputError
        If the list or one of its files cannot be read, or it has other columns.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a tab-separated list ({error})") from error
    table = csv.DictReader((line for line in lines if line.strip()), delimiter="\t")
    header = table.fieldnames or []
    if "data" not in header or not set(header) <= set(COLUMNS):
        raise InputError(
            f"{path}: columns {', '.join(header) or '(none)'}; expected data and any of "
            f"{', '.join(COLUMNS[1:])}, separated by tabs"
        )
    crystals = []
    for number, row in enumerate(table, start=2):
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if not cells["data"] or None in row:
            raise InputError(
                f"{path}: line {number}: expected one cell for each column, data first"
            )
        if cells["copies"] and not cells["copies"].isdigit():
            raise InputError(
                f"{path}: line {number}: copies {cells['copies']!r}, expected a number"
            )
        truth = cells["truth"]
        sequence = cells["sequence"]
        beside = path.parent / sequence
        crystals.append(
            PeerCrystal(
                name=cells["name"] or crystal_name(Path(cells["data"])),
                data=_existing(path.parent / cells["data"], "reflections"),
                truth=_existing(path.parent / truth, "a model or true phases") if truth else None,
                sequence=(str(beside) if beside.is_file() else sequence) if sequence else None,
                copies=int(cells["copies"]) if cells["copies"] else None,
            )
        )
    return crystals


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {what}")
    return path.absolute()


def distinct(crystals: Sequence[PeerCrystal]) -> list[PeerCrystal]:
    """The crystals, if no two have the same name.

    Raises
    ------
    UsageError
        If two have, or there is none.
    """
    if not crystals:
        raise UsageError("no crystal: give `crystal`, a list, or `simulated`")
    names = [crystal.name for crystal in crystals]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two crystals named {name}: tell them apart by a column name")
    return list(crystals)


def simulated_crystals(
    folder: Path, data_dir: str | Path, split: Split, conditions: Sequence[Condition], n: int
) -> list[PeerCrystal]:
    """Simulate the first `n` crystals of each condition of the regime grid, as files.

    Amplitudes are in ``NAME.mtz``, the truth (FC, PHIC) in ``NAME-truth.mtz``; files that are
    there are kept.

    Raises
    ------
    InputError, UsageError
        If the data set does not hold such crystals.
    """
    table = FragmentStore.open(data_dir).table(split)
    target = folder / SIMULATED
    crystals = []
    for condition in conditions:
        for number in range(n):
            name = f"{condition.name}-{number}"
            data, truth = target / f"{name}.mtz", target / f"{name}-truth.mtz"
            made = grid_crystal(table, condition, number, seed=0)
            if not (data.exists() and truth.exists()):
                sigf = made.data.sigf
                columns = [("F", "F", made.data.f)]
                columns += [] if sigf is None else [("SIGF", "Q", sigf)]
                _write(data, made, columns)
                _write(truth, made, [("FC", "F", made.f_true), ("PHIC", "P", made.phi_true)])
            crystals.append(PeerCrystal(name, data, truth, made.sequence, 1, simulated=True))
    return crystals


def _write(
    path: Path, crystal: SyntheticCrystal, columns: Sequence[tuple[str, str, np.ndarray]]
) -> None:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = crystal.data.space_group
    mtz.add_dataset("simulated")
    mtz.set_cell_for_all(crystal.data.cell)
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    values = [crystal.data.hkl, *(values for _, _, values in columns)]
    mtz.set_data(np.column_stack(values).astype(np.float32))
    with atomic_path(path) as temporary:
        mtz.write_to_file(str(temporary))
