"""Files of phases, one for each crystal: paired with their truth, scored together."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import density_from_grid, grid_shape, hkl_to_grid
from crysformer.crystal.io.read_phases import PhasedReflections, coefficients_at, read_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.methods import Method, Phasing, Settings
from crysformer.evaluation.phases.score import (
    PhaseScore,
    check_cells,
    resolution_of,
    row,
    score_phases,
)
from crysformer.evaluation.phases.truth import read_truth
from crysformer.evaluation.scoring import mean_scores, pooled_shells
from crysformer.files import atomic_path

_ENDINGS = (".gz", ".mtz", ".pdb", ".ent", ".cif", ".mmcif")
_MODELS = (".pdb", ".ent", ".cif", ".mmcif")
LIST_ENDING = ".tsv"


@dataclass(frozen=True)
class PhasePair:
    """The phases of one crystal, and what they are compared with."""

    name: str
    phases: Path
    truth: Path


@dataclass(frozen=True, eq=False)
class PhaseEvaluation:
    """Scores of files of phases."""

    examples: Sequence[PhaseScore]

    def metrics(self) -> dict[str, Any]:
        """Means over the crystals, as written to metrics.json."""
        scores = [example.score for example in self.examples]
        d_min = min(example.d_min for example in self.examples)
        return {
            "method": "phases",
            "n": len(scores),
            "d_min": d_min,
            "n_reflections": sum(example.n for example in self.examples),
            **mean_scores(scores),
            "solved_share": float(np.mean([example.solved for example in self.examples])),
            "right_hand_share": float(np.mean([not score.inverted for score in scores])),
            "shells": pooled_shells(scores, d_min),
            "crystals": [
                {
                    **row(example),
                    "origin_shift": [round(x, 5) for x in example.shift.tolist()],
                    "notes": list(example.notes),
                }
                for example in self.examples
            ],
        }


def crystal_of(path: Path) -> str:
    """Name of the crystal that a file belongs to: its own without endings."""
    name = path.name
    while name.lower().endswith(_ENDINGS):
        name = name[: name.rfind(".")]
    return name


def find_pairs(phases: str | Path, truth: str | Path | None) -> list[PhasePair]:
    """Pair phases with their truth.

    Parameters
    ----------
    phases
        An MTZ file; a folder of them; or a list, ``.tsv``, with the columns phases, truth and, if
        file names are not enough, name (paths relative to the list).
    truth
        A model or MTZ file; for a folder of phases a folder of those, named as the phases are;
        None for a list.

    Raises
    ------
    UsageError
        If the two do not go together.
    InputError
        If a file is missing.
    """
    place = Path(phases)
    if place.name.endswith(LIST_ENDING):
        if truth is not None:
            raise UsageError(f"`truth` {truth}: the list {place} has a column truth")
        return [PhasePair(name, file, other) for name, file, other in _listed(place) if other]
    if truth is None:
        raise UsageError("`phases` needs `truth`, or `data` for a data set")
    target = Path(truth)
    if not place.is_dir():
        if target.is_dir():
            raise UsageError(f"`truth` {target}: is a folder, expected a model or an MTZ file")
        return [PhasePair(crystal_of(place), place, target)]
    if not target.is_dir():
        raise UsageError(f"`truth` {target}: expected a folder, because `phases` is one")
    known: dict[str, Path] = {}
    # models after MTZ files, so that they win where both have the name
    for path in sorted(target.iterdir(), key=lambda p: (_is_model(p), p.name)):
        if path.is_file() and (_is_model(path) or path.name.lower().endswith((".mtz", ".mtz.gz"))):
            known[crystal_of(path)] = path
    files = _mtz_files(place)
    for name, path in files.items():
        if name not in known:
            raise InputError(f"{path}: no model or MTZ file named {name} in {target}")
    return [PhasePair(name, path, known[name]) for name, path in files.items()]


def _is_model(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(_MODELS)


def _mtz_files(folder: Path) -> dict[str, Path]:
    files = sorted([*folder.glob("*.mtz"), *folder.glob("*.mtz.gz")])
    if not files:
        raise InputError(f"{folder}: no MTZ file; expected phases as NAME.mtz")
    return {crystal_of(path): path for path in files}


def _listed(path: Path) -> list[tuple[str, Path, Path | None]]:
    """Rows of a list: name, phases, truth."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a tab-separated list ({error})") from error
    table = csv.DictReader((line for line in lines if line.strip()), delimiter="\t")
    header = set(table.fieldnames or [])
    if "phases" not in header or not header <= {"phases", "truth", "name"}:
        raise InputError(
            f"{path}: columns {', '.join(table.fieldnames or ['(none)'])}; expected phases, truth "
            "and, if you like, name, separated by tabs"
        )
    rows = [
        (
            cells.get("name") or crystal_of(Path(cells["phases"])),
            path.parent / cells["phases"],
            path.parent / cells["truth"] if cells.get("truth") else None,
        )
        for cells in table
    ]
    if not rows:
        raise InputError(f"{path}: no rows below the header; expected one for each crystal")
    return rows


def evaluate_pairs(
    pairs: Sequence[PhasePair],
    labin: str | None = None,
    truth_labin: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> PhaseEvaluation:
    """Score phases against their truth.

    Parameters
    ----------
    pairs
        The files.
    labin, truth_labin
        Columns, where a file has several phases: ``F,PHI`` or ``F,PHI,FOM``.
    progress
        Called with the fraction done and a line of text after each crystal.

    Raises
    ------
    InputError, UsageError
        As `read_phases`, `read_truth` and `score_phases`; or if there is no pair.
    """
    if not pairs:
        raise InputError("no crystal with both phases and truth")
    found = [read_phases(pair.phases, labin) for pair in pairs]
    d_min = min(resolution_of(phases) for phases in found)
    examples = []
    for done, (pair, phases) in enumerate(zip(pairs, found, strict=True), start=1):
        truth = read_truth(pair.truth, truth_labin)
        examples.append(score_phases(phases, truth, pair.name, d_min))
        if progress is not None:
            progress(done / len(pairs), f"{done} of {len(pairs)}")
    return PhaseEvaluation(examples)


def write_rows(evaluation: PhaseEvaluation, path: Path) -> None:
    """Write one CSV row for each crystal."""
    rows = [row(example) for example in evaluation.examples]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def phases_as_method(phases: str | Path, labin: str | None = None) -> Method:
    """Files of phases as a method that `evaluation.runner.evaluate` can measure on a data set.

    Parameters
    ----------
    phases
        A folder with NAME.mtz for the crystals of the data set, by their ids, or a list with the
        columns phases and name. Crystals without a file count as crystals without phases.
    labin
        Columns, where a file has several phases.

    Raises
    ------
    InputError
        If there is no file.
    """
    place = Path(phases)
    if place.is_dir():
        files = _mtz_files(place)
    elif place.name.endswith(LIST_ENDING):
        files = {name: path for name, path, _ in _listed(place)}
    else:
        raise UsageError(
            f"`phases` {place}: expected a folder of NAME.mtz, or a list, for a data set"
        )

    def run(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        path = files.get(data.source)
        if path is None:
            return Phasing(
                np.full(len(data), np.nan), seconds=0.0, not_applicable=f"no {data.source}.mtz"
            )
        found = read_phases(path, labin)
        check_cells(found.source, found.cell, f"the crystal {data.source}", data.cell)
        p1 = found.expanded()
        units = coefficients_at(p1.hkl, np.exp(1j * np.radians(p1.phi)), data.hkl)
        phi = np.degrees(np.angle(units))
        return Phasing(np.where(np.isfinite(units), phi, np.nan), 0.0, _density(p1, data))

    return run


def _density(p1: PhasedReflections, data: CrystalData) -> DensityMap | None:
    """The map of a file's own coefficients; None if it has no amplitudes."""
    F = coefficients_at(p1.hkl, p1.coefficients, data.hkl)
    if not np.isfinite(F).any():
        return None
    shape = grid_shape(data.cell, data.d_min)
    hkl = torch.from_numpy(data.hkl.astype(np.int64))
    grid = hkl_to_grid(hkl, torch.from_numpy(np.nan_to_num(F)), shape)[None]
    values = density_from_grid(grid, shape, data.cell.volume)[0].numpy()
    return DensityMap(values.astype(np.float32), data.cell, gemmi.SpaceGroup("P 1"))
