"""Models of many crystals from the maps of several methods, recorded so that they can go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from crysformer.crystal.free_set import free_set
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentStore, FragmentTable, Split
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import CrysformerError, InputError, NotApplicable
from crysformer.evaluation.building.measure import build_models
from crysformer.evaluation.building.programs.program import BuildingProgram, run_program
from crysformer.evaluation.building.result import OWN, BuildingResult
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.methods import METHODS, Phasing, Settings
from crysformer.evaluation.record import Record, crash_text
from crysformer.evaluation.regimes.run import chosen_methods
from crysformer.evaluation.runner import choose, crystal_of
from crysformer.evaluation.scoring import score
from crysformer.parallel import Workers, one_thread, run_tasks
from crysformer.peptide.sequence_file import sequences_of

MAPS: Final = ("network-one-pass", "network-polished", "solve", "random", "random-polished")
"""Methods whose maps are interpreted: the network's as predicted and polished, the solver's, and
random phases as controls of both."""


@dataclass(frozen=True)
class Limits:
    """Seconds for one crystal: of each step of building, and of another program."""

    building: float
    program: float


@dataclass(frozen=True)
class Job:
    """Map of one crystal, by number of the row of its split, for some builders."""

    data_dir: str
    split: Split
    row: int
    method: str
    builders: tuple[str, ...]
    programs: tuple[BuildingProgram, ...]
    settings: Settings
    limits: Limits


def chosen_maps(names: str | None) -> tuple[str, ...]:
    """Methods of a comma-separated list; by default `MAPS`.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    return MAPS if names is None else chosen_methods(names)


def run_building(
    log: Record[BuildingResult],
    data_dir: str | Path,
    methods: Sequence[str],
    programs: Sequence[BuildingProgram],
    settings: Settings,
    limits: Limits,
    split: Split = "test",
    limit: int | None = None,
    jobs: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> list[str]:
    """Build models of every crystal from the map of every method, except those that `log` holds.

    Whatever goes wrong with one crystal is recorded, and the next one follows.

    Parameters
    ----------
    log
        Record of the results so far, to which new ones are appended.
    data_dir, split, limit
        Crystals, drawn at random by the seed; a larger limit draws those of a smaller one as well.
    methods
        Keys of `evaluation.methods.METHODS`.
    programs
        Other programs that build from the same maps.
    settings
        Of the methods; the seed of a crystal is the seed plus the number of its row.
    limits
        Seconds for one crystal.
    jobs
        Processes, one thread each.
    progress
        Called with the fraction done and a text after every map.

    Returns
    -------
    list of str
        Ids of the crystals.

    Raises
    ------
    InputError, UsageError
        If the data set does not hold such crystals.
    """
    table = FragmentStore.open(data_dir).table(split)
    rows = choose(table, limit, settings.seed, data_dir).tolist()
    ids = {row: str(table.id[row]) for row in rows}
    builders = (OWN, *(program.name for program in programs))
    keys = [(ids[row], method, name) for row in rows for method in methods for name in builders]
    todo = set(log.missing(keys))
    work = [
        Job(str(Path(data_dir).absolute()), split, row, method, missing, tuple(programs), settings,
            limits)
        for row in rows
        for method in methods
        if (missing := tuple(b for b in builders if (ids[row], method, b) in todo))
    ]  # fmt: skip
    for done, results in enumerate(_run_all(work, jobs), start=1):
        for result in results:
            log.append(result)
        if progress is not None:
            text = f"{done} of {len(work)}: {results[0].crystal}, {results[0].method}"
            progress(done / len(work), text)
    return list(ids.values())


def run_job(job: Job) -> list[BuildingResult]:
    """Phase one crystal and run the builders of the job on its map."""
    table, recipe = _fragments(job.data_dir, job.split)
    settings = replace(job.settings, seed=job.settings.seed + job.row)
    blank = BuildingResult(str(table.id[job.row]), job.method, OWN, "done")
    blanks = [replace(blank, builder=builder) for builder in job.builders]
    try:
        crystal = crystal_of(table, job.row, recipe, DataQuality(), job.settings.seed)
        blanks = [replace(b, sequence=crystal.sequence) for b in blanks]
        phasing = METHODS[job.method](crystal.data, crystal.sequence, settings)
        if phasing.not_applicable:
            raise NotApplicable(phasing.not_applicable)
        blanks = [_with_map_figures(b, crystal, phasing) for b in blanks]
    except (InputError, NotApplicable) as reason:  # the method declines
        return [replace(b, status="not applicable", message=str(reason)) for b in blanks]
    except Exception as error:  # recorded; the command fails at its end
        return [replace(b, status="crashed", message=crash_text(error)) for b in blanks]
    return [_built(b, crystal, phasing, job, settings) for b in blanks]


def _with_map_figures(
    blank: BuildingResult, crystal: SyntheticCrystal, phasing: Phasing
) -> BuildingResult:
    found = score(crystal, phasing.phi, DataQuality().d_min, phasing.density)
    return replace(
        blank,
        pc=round(found.pc_aligned, 5),
        phase_error=round(found.weighted_phase_error_aligned, 3),
        phases_solved=bool(found.solved),
        right_hand=not found.inverted,
        claimed=None if phasing.claimed is None else bool(phasing.claimed),
        phasing_seconds=round(phasing.seconds, 3),
    )


def _built(
    blank: BuildingResult,
    crystal: SyntheticCrystal,
    phasing: Phasing,
    job: Job,
    settings: Settings,
) -> BuildingResult:
    wall, cpu = time.monotonic(), time.process_time()
    try:
        if blank.builder == OWN:
            models, alanines = build_models(
                crystal, phasing.phi, job.limits.building, settings.seed
            )
            found = replace(blank, models=models, poly_alanine=alanines)
        else:
            found = _of_program(blank, crystal, phasing, job)
    except CrysformerError as error:
        found = replace(blank, message=str(error))  # no model, which counts as one that is wrong
    except Exception as error:
        found = replace(blank, status="crashed", message=crash_text(error))
    return replace(
        found,
        seconds=round(time.monotonic() - wall, 2),
        cpu_seconds=round(time.process_time() - cpu, 2),
    )


def _of_program(
    blank: BuildingResult, crystal: SyntheticCrystal, phasing: Phasing, job: Job
) -> BuildingResult:
    program = next(p for p in job.programs if p.name == blank.builder)
    sequences = sequences_of(crystal.sequence)
    figures, _ = run_program(
        program, crystal.data, phasing.phi, free_set(crystal.data), sequences, job.limits.program
    )
    return replace(blank, program=asdict(figures))


def result_options(
    data_dir: str | Path, split: Split, settings: Settings, limits: Limits
) -> dict[str, Any]:
    """Options that change a result; the data set is identified by its content."""
    store = FragmentStore.open(data_dir)
    return {
        "experiment": "building",
        "data": store.fragments_hash,
        "split": split,
        **asdict(settings),
        **{f"{name}_limit": value for name, value in asdict(limits).items()},
    }


def _run_all(work: Sequence[Job], jobs: int) -> Iterator[list[BuildingResult]]:
    with one_thread():
        for _, results in run_tasks(run_job, ((job,) for job in work), Workers(jobs)):
            yield results


@lru_cache(maxsize=1)
def _fragments(data_dir: str, split: Split) -> tuple[FragmentTable, Recipe]:
    store = FragmentStore.open(data_dir)
    return store.table(split), store.recipe
