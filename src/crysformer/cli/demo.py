"""Solve the bundled crystals and compare the results with their true models.

Three synthetic dipeptides, one synthetic crystal of 15 residues, and one real data set. Each gets a
folder with solution.mtz, solution.ccp4, summary.json, report.html, the true model and a picture.
Each crystal has a time limit of its own; all of them together have 45 seconds, used in order.
"""

from __future__ import annotations

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crysformer.cli._common import emit, progress_bar, seed
from crysformer.cli._run_log import add_to_log
from crysformer.files import locked_folder, staged_files
from crysformer.samples import SAMPLES, Sample
from crysformer.wording import counted

if TYPE_CHECKING:
    import gemmi
    import numpy as np
    from numpy.typing import NDArray

    from crysformer.crystal.comparison.compare import PhaseComparison
    from crysformer.crystal.fourier.density_map import DensityMap
    from crysformer.crystal.quality.report import DataReport
    from crysformer.crystal.reflections import CrystalData
    from crysformer.phasing.solver import Solution


TIME_BUDGET = 45.0
"""Seconds for all crystals together; each gets at most what the earlier ones left."""
_LEAST_TIME = 1.0  # seconds, also where nothing is left


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="demo", help="folder for the results (demo)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="accept folders that are not empty"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed for the random starts"
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result for one crystal, compared with the truth."""

    sample: Sample
    time_limit: float
    solution: Solution
    truth: PhaseComparison
    network: str
    folder: Path

    @property
    def right(self) -> bool:
        """True if the phases are right by the project's definition of solved."""
        from crysformer.crystal.comparison.compare import SOLVED_COSINE, SOLVED_PHASE_ERROR

        if self.sample.synthetic:
            return self.truth.cosine2_aligned >= SOLVED_COSINE
        return self.truth.weighted_aligned <= SOLVED_PHASE_ERROR

    def to_dict(self) -> dict[str, Any]:
        """Plain values for --json."""
        return {
            "name": self.sample.name,
            "title": self.sample.title,
            "solved": self.solution.solved,
            "confidence": self.solution.confidence,
            "method": self.solution.method,
            "right": self.right,
            "mean_phase_error_aligned": self.truth.mean_aligned,
            "weighted_phase_error_aligned": self.truth.weighted_aligned,
            "inverted": self.truth.inverted,
            "network": self.network,
            "seconds": self.solution.seconds,
            "time_limit": self.time_limit,
            "folder": str(self.folder),
        }

    def lines(self) -> list[str]:
        """Lines of text for the terminal."""
        verdict = "solved" if self.solution.solved else "not solved"
        agreement = {
            (True, True): "and it is",
            (False, False): "and the phases are indeed wrong",
            (True, False): "BUT THE PHASES ARE WRONG",
            (False, True): "although the phases are right",
        }[self.solution.solved, self.right]
        hand = ", other hand" if self.truth.inverted else ""
        less = self.time_limit < self.sample.time_limit
        left = f" (only {self.time_limit:.0f} s were left for it)" if less else ""
        return [
            f"  expected: {self.sample.expectation}",
            f"  came out: {verdict} by {self.solution.method} in {self.solution.seconds:.1f} s"
            f"{left}, confidence {self.solution.confidence:.2f}, {agreement}",
            f"  against the truth: mean phase error {self.truth.mean_aligned:.1f},"
            f" F-weighted {self.truth.weighted_aligned:.1f} degrees (origin aligned{hand})",
            f"  network alone: {self.network}",
            f"  picture: {self.folder / 'maps.png'}, report: {self.folder / 'report.html'}",
        ]


def run(args: argparse.Namespace) -> int:
    """Solve each crystal and report the results."""
    with locked_folder(args.output, overwrite=args.overwrite) as folder:
        return _run(args, folder)


def _run(args: argparse.Namespace, output: Path) -> int:
    from crysformer.workflow.reports import write_report

    started = time.perf_counter()
    outcomes = []
    crystals = counted(len(SAMPLES), "crystal")
    _tell(args, f"{crystals}, {TIME_BUDGET:.0f} s for all of them together")
    for number, sample in enumerate(SAMPLES, start=1):
        _tell(args, f"[{number}/{len(SAMPLES)}] {sample.title}")
        folder = output / sample.name
        left = max(_LEAST_TIME, TIME_BUDGET - (time.perf_counter() - started))
        with staged_files(folder) as staging:
            time_limit = min(sample.time_limit, left)
            outcome, quality = _solve_one(sample, time_limit, staging, folder, args)
        write_report(folder, quality)
        outcomes.append(outcome)
        _tell(args, "\n".join(outcome.lines()) + "\n")
    seconds = time.perf_counter() - started
    result = {"crystals": [outcome.to_dict() for outcome in outcomes], "seconds": seconds}
    closing = _closing(outcomes, seconds)
    emit(args, result, closing, verdict=closing.partition("\n")[0])
    return 0


def _tell(args: argparse.Namespace, text: str) -> None:
    """Print text as soon as it is known, and keep it in the log."""
    add_to_log(text)
    if not args.json and not args.quiet:
        print(text, flush=True)


def _solve_one(
    sample: Sample, time_limit: float, staging: Path, folder: Path, args: argparse.Namespace
) -> tuple[Outcome, tuple[CrystalData, DataReport]]:
    """Solve a crystal into a folder; how it came out, and the quality of its data."""
    import gemmi
    import numpy as np

    from crysformer.crystal.comparison.compare import compare_phases
    from crysformer.crystal.io.read import read_crystal
    from crysformer.crystal.quality.report import data_report
    from crysformer.phasing.solver import solve
    from crysformer.report.reference_model import model_structure_factors
    from crysformer.workflow.solution_files import write_solution

    data = read_crystal(sample.data_path)
    with progress_bar(args, "solving") as progress:
        solution = solve(
            data,
            sequence=sample.sequence,
            time_limit=time_limit,
            seed=args.seed,
            progress=progress,
        )
    report = data_report(data, sample.sequence)
    write_solution(staging, data, solution, report)
    shutil.copy(sample.model_path, staging)
    structure = gemmi.read_structure(str(sample.model_path))
    phi_true = np.degrees(np.angle(model_structure_factors(structure, data.hkl)))
    truth = compare_phases(data.hkl, data.f, solution.phi, phi_true, data.cell, data.space_group)
    predicted, network = _predict(data, sample, phi_true)
    _draw(staging / "maps.png", sample, structure, data.d_min, predicted, solution)
    outcome = Outcome(sample, time_limit, solution, truth, network, folder)
    return outcome, (data, report)


def _predict(
    data: CrystalData, sample: Sample, phi_true: NDArray[np.float64]
) -> tuple[DensityMap | None, str]:
    """Network map and a line on its quality, or None and why there is none."""
    from crysformer.crystal.comparison.compare import compare_phases
    from crysformer.errors import NotApplicable
    from crysformer.phasing.network.predict import predict

    try:
        prediction = predict(data, sample.sequence)
    except NotApplicable as reason:
        return None, f"not applicable ({reason})"
    truth = compare_phases(data.hkl, data.f, prediction.phi, phi_true, data.cell, data.space_group)
    return prediction.density, (
        f"{prediction.preset}, {prediction.seconds:.1f} s, mean phase error"
        f" {truth.mean_aligned:.1f}, F-weighted {truth.weighted_aligned:.1f} degrees"
    )


def _draw(
    path: Path,
    sample: Sample,
    structure: gemmi.Structure,
    d_min: float,
    predicted: DensityMap | None,
    solution: Solution,
) -> None:
    from crysformer.report.projections import projection_figure
    from crysformer.report.reference_model import align_map, model_density

    reference = model_density(structure, d_min)
    maps = {"true model" if sample.synthetic else "deposited model": reference}
    if predicted is not None:
        maps["network alone"] = align_map(predicted, reference, d_min)
    maps["solution"] = align_map(solution.density, reference, d_min)
    projection_figure(maps, path, title=sample.title, model=structure)


def _closing(outcomes: list[Outcome], seconds: float) -> str:
    right = [outcome for outcome in outcomes if outcome.right]
    shown = (right or outcomes)[0]
    mtz, model = shown.folder / "solution.mtz", shown.folder / shown.sample.model_file
    return "\n".join(
        [
            f"{len(right)} of {counted(len(outcomes), 'crystal')} phased correctly in "
            f"{seconds:.0f} s.",
            f"Look at one in Coot, with its true model: coot --auto {mtz} --pdb {model}",
            "Your own data: crysformer solve data.mtz --sequence SEQUENCE -o DIR",
        ]
    )
