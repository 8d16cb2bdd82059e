"""Solve every measured data set of a folder, and score the phases against the deposited models.

    python benchmarks/experimental.py --data FOLDER [--time-limit S] [--only NAMES] -o results.json

FOLDER holds reflections (NAME.mtz, NAME-sf.cif.gz) and deposited models (NAME.pdb.gz, NAME.cif.gz).
Each reflection file goes through the installed command, `crysformer solve FILE --sequence SEQ
--copies N --json`, in a process of its own, with the protein chains of its model as the sequence;
files without a model, or of nucleic acid, go without. A file that names no space group is first
tried as it is, which must be rejected in one clear line, and then with the cell and space group of
its model.

Phases are scored after all runs: PHWT of solution.mtz against structure factors of the deposited
model (gemmi, X-ray form factors, no bulk solvent, hydrogen as deposited) over the measured
reflections, origin and hand aligned in P1. Writes results.json and, beside it, the table as
Markdown. Ends with exit code 1 if a rule is broken: `solved` with an F-weighted phase error above
40 degrees, a traceback, a rejection without a reason, an overrun, or a solution.mtz that lost
reflections or carries columns it should not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import gemmi
import numpy as np

from crysformer.errors import CrysformerError
from crysformer.evaluation.deposited_models import (
    Case,
    find_cases,
    model_phases,
    n_atoms,
    protein_chains,
    read_model,
)
from crysformer.processes import run_command

# Nothing that imports torch at the top: a child's peak memory is never below that of the process
# that started it.

COLUMNS = {"H", "K", "L", "F", "SIGF", "FreeR_flag", "FWT", "PHWT", "FOM"}
START_UP = 30.0  # seconds that reading, the first import and writing may take
OVERRUN = 1.5  # of the time limit, allowed for the round under way and what follows the search
MEMORY_GB = 8.0


@dataclass
class Result:
    """One run of the command, and the errors of its phases."""

    file: str
    options: str
    space_group: str = ""
    d_min: float = math.nan
    reflections: int = 0
    atoms: int | None = None
    exit_code: int = 0
    message: str = ""
    solved: bool | None = None
    confidence: float | None = None
    method: str = ""
    weighted_phase_error: float | None = None
    cosine2: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_gb: float = 0.0
    notes: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)


def solve(case: Case, options: list[str], folder: Path, time_limit: float) -> Result:
    """Run `crysformer solve` once, and check what can be checked without the truth."""
    program = Path(sys.executable).with_name("crysformer")
    command = [str(program), "solve", str(case.reflections), *options]
    command += ["--time-limit", f"{time_limit:g}", "--json", "-o", str(folder)]
    run = run_command(command, 5 * time_limit + 120)
    shown = [re.sub(r"^([A-Z]{13})[A-Z,]+$", r"\1...", option) for option in options]
    result = Result(case.reflections.name, " ".join(shown), exit_code=run.code)
    result.seconds, result.cpu_seconds, result.peak_gb = run.seconds, run.cpu_seconds, run.peak_gb
    broken = result.broken_rules
    if run.seconds > OVERRUN * time_limit + START_UP:
        broken.append(f"{run.seconds:.0f} s with a limit of {time_limit:g} s")
    if run.peak_gb > MEMORY_GB:
        broken.append(f"{run.peak_gb:.1f} GB of memory")
    if "Traceback" in run.err:
        broken.append("traceback")
    if run.code == 0:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if json.loads(run.out) != summary:
            broken.append("--json differs from summary.json")
        result.solved, result.confidence = summary["solved"], round(summary["confidence"], 3)
        result.method, result.notes = summary["method"], list(summary["notes"])
        return result
    lines = [line for line in run.err.splitlines() if line.strip()]
    if lines:
        result.message = lines[-1].replace(str(case.reflections.parent) + os.sep, "")
    if len(lines) != 1 or run.code not in (1, 2) or folder.exists():
        broken.append("not refused in one line, or something was left behind")
    return result


def runs_of(case: Case, out: Path, time_limit: float) -> list[tuple[Result, list[str], Path]]:
    """The runs of one case: (result, options, output folder), two where the first was refused."""
    options: list[str] = []
    crystal: list[str] = []
    if case.model is not None:
        structure = read_model(case.model)
        sequences, copies = protein_chains(structure)
        if sequences:
            options = ["--sequence", ",".join(sequences), "--copies", str(copies)]
        cell = ",".join(f"{x:g}" for x in structure.cell.parameters)
        crystal = ["--cell", cell, "--space-group", structure.spacegroup_hm]
    folder = out / case.name
    runs = [(solve(case, options, folder, time_limit), options, folder)]
    if runs[0][0].exit_code != 0 and "--space-group" in runs[0][0].message and crystal:
        options = [*options, *crystal]
        folder = out / f"{case.name}-with-crystal"
        runs.append((solve(case, options, folder, time_limit), options, folder))
    return runs


def score(case: Case, result: Result, options: list[str], folder: Path) -> None:
    """Add the scores against the deposited model, and check the written file."""
    from crysformer.crystal.comparison.compare import SOLVED_PHASE_ERROR, compare_phases
    from crysformer.crystal.io.read import read_crystal

    if result.exit_code != 0:
        return
    given = dict(zip(options[::2], options[1::2], strict=True))
    cell = gemmi.UnitCell(*map(float, given["--cell"].split(","))) if "--cell" in given else None
    data = read_crystal(case.reflections, cell=cell, space_group=given.get("--space-group"))
    result.space_group, result.d_min = data.space_group.xhm(), round(data.d_min, 2)
    result.reflections = int(data.measured.sum())
    mtz = gemmi.read_mtz_file(str(folder / "solution.mtz"))
    labels = set(mtz.column_labels())
    hkl = mtz.make_miller_array()
    if mtz.spacegroup.xhm() != data.space_group.xhm():
        result.broken_rules.append(f"solution.mtz is in {mtz.spacegroup.xhm()}")
    if extra := labels - COLUMNS:
        result.broken_rules.append(f"solution.mtz has columns {', '.join(sorted(extra))}")
    row = {index: i for i, index in enumerate(map(tuple, hkl.tolist()))}
    kept = np.array([row.get(index, -1) for index in map(tuple, data.hkl.tolist())])
    if (kept[data.measured] < 0).any():
        result.broken_rules.append("solution.mtz lost measured reflections")
        return
    f = mtz.column_with_label("F").array[kept]
    if not np.allclose(f[data.measured], data.f[data.measured], rtol=1e-5):
        result.broken_rules.append("solution.mtz has other amplitudes")
    phi = mtz.column_with_label("PHWT").array[kept].astype(np.float64)
    phased = np.isfinite(phi) & data.measured
    if phased.sum() < data.measured.sum():
        result.notes.append(f"{data.measured.sum() - phased.sum()} reflections without a phase")
    if (
        data.space_group.is_centrosymmetric()
        and (np.abs(np.sin(np.radians(phi[phased]))) > 1e-3).any()
    ):
        result.broken_rules.append("phases other than 0 and 180 in a centrosymmetric group")
    if case.model is None:
        return
    structure = read_model(case.model)
    result.atoms = n_atoms(structure)
    true = model_phases(structure, data.hkl, data.d_min)
    compared = compare_phases(data.hkl, data.f, phi, true, data.cell, data.space_group)
    result.weighted_phase_error = round(compared.weighted_aligned, 1)
    result.cosine2 = round(compared.cosine2_aligned, 3)
    if result.solved and compared.weighted_aligned > SOLVED_PHASE_ERROR:
        result.broken_rules.append(f"solved with {compared.weighted_aligned:.1f} degrees of error")


def table(results: list[Result]) -> str:
    """Table of the results as lines of Markdown."""
    head = (
        "file | space group | d_min (Å) | reflections | atoms | exit | solved | confidence | "
        "method | F-weighted phase error (°) | s | peak GB"
    )
    lines = [f"| {head} |", "|---|---|" + "---:|" * 4 + "---|---:|---|" + "---:|" * 3]
    for r in results:
        start = f"| {r.file} | {r.space_group or '-'} | "
        end = f"{r.seconds:.0f} | {r.peak_gb:.1f} |"
        if r.exit_code != 0:
            lines.append(f"{start}- | - | - | {r.exit_code} | refused | - | - | - | {end}")
            continue
        error = "-" if r.weighted_phase_error is None else f"{r.weighted_phase_error:.1f}"
        lines.append(
            f"{start}{r.d_min:.2f} | {r.reflections} | {r.atoms or '-'} | 0 | "
            f"{'yes' if r.solved else 'no'} | {r.confidence:.2f} | {r.method} | {error} | {end}"
        )
    lines += ["", *(f"- {r.file} refused: {r.message}" for r in results if r.exit_code != 0)]
    broken = [f"- {r.file}: {'; '.join(r.broken_rules)}" for r in results if r.broken_rules]
    return "\n".join([*lines, "", "Broken rules:" if broken else "No rule broken.", *broken])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of reflections and models")
    parser.add_argument(
        "--time-limit", type=float, default=60.0, help="seconds for each crystal (60)"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only these entries, such as 5e5z"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="results.json")
    args = parser.parse_args()
    cases = [c for c in find_cases(args.data) if args.only is None or c.name in args.only]
    if not cases:
        parser.error(f"{args.data}: no reflection file (*.mtz, *-sf.cif.gz) with such a name")

    runs = []
    with tempfile.TemporaryDirectory(prefix="experimental-") as work:
        for case in cases:
            for result, options, folder in runs_of(case, Path(work), args.time_limit):
                said = result.message or f"solved: {result.solved}"
                print(f"{result.file}: {said} ({result.seconds} s)", file=sys.stderr)
                runs.append((case, result, options, folder))
        for case, result, options, folder in runs:
            try:
                score(case, result, options, folder)
            except (CrysformerError, RuntimeError, ValueError, OSError) as error:
                result.broken_rules.append(f"cannot be scored: {error}")

    results = [result for _, result, _, _ in runs]
    text = f"""# Measured data

{datetime.now(UTC):%Y-%m-%d}. {platform.machine()}, {os.cpu_count()} cores, one thread each, load \
{os.getloadavg()[1]:.1f}. Time limit {args.time_limit:g} s.

{table(results)}

Made by `python benchmarks/experimental.py`, whose head says what is measured. Atoms: but hydrogen,
in the asymmetric unit of the deposited model. Phase error: to that model, origin and hand aligned;
90 is random, and alignment of random phases reaches somewhat less.
"""
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps([asdict(r) for r in results], indent=2), encoding="utf-8")
    args.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(r.broken_rules for r in results))


if __name__ == "__main__":
    sys.exit(main())
