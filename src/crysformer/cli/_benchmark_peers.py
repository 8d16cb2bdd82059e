"""``crysformer benchmark peers``: other programs, or another version, on the same crystals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from crysformer.cli._common import emit, log, positive, progress_bar, seconds
from crysformer.errors import CrysformerError, UsageError
from crysformer.wording import counted

if TYPE_CHECKING:
    from crysformer.evaluation.peers.crystals import PeerCrystal
    from crysformer.evaluation.peers.program import Program

DESCRIPTION = """\
Run `solve`, without and with the sequence, plain charge flipping (on E and on F) and the charge
flipping of cctbx on the same crystals, in turns, each in a process of its own on one thread, from
the start of the process to its verdict. The other programs have no verdict but their own criterion
of convergence; the truth is used for scoring alone. cctbx is skipped where it is not installed (it
is the extra `peers`; it may live in another environment, --cctbx-python). With --against, `solve`
of another checkout or installation runs in turns with this one, to compare two versions in pairs.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "list", nargs="?", metavar="LIST.tsv",
        help="crystals: tab-separated, header with data and any of truth, sequence, copies, name",
    )  # fmt: skip
    parser.add_argument(
        "--crystal", nargs="+", action="append", default=[], metavar=("DATA", "TRUTH SEQUENCE"),
        help="a crystal: reflections, model or MTZ of true phases (- if unknown), sequence; may be "
        "repeated",
    )  # fmt: skip
    parser.add_argument(
        "--simulated", type=positive, metavar="N",
        help="also N simulated crystals of each of --conditions, from --data",
    )  # fmt: skip
    parser.add_argument("--data", metavar="DIR", help="a data set of the recipe fifteen")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument(
        "--conditions", metavar="PATTERNS", default="2-tight-1.0A,2-tight,15-rich-1.0A",
        help="of `benchmark regimes --list` (2-tight-1.0A,2-tight,15-rich-1.0A)",
    )  # fmt: skip
    parser.add_argument(
        "--programs", metavar="LIST",
        help="comma-separated (solve,solve-sequence,plain-E,plain-F,cctbx and, with --against, "
        "other-solve,other-solve-sequence; default: all)",
    )  # fmt: skip
    parser.add_argument("--cctbx-python", metavar="PATH", help="the interpreter that has cctbx")
    parser.add_argument(
        "--against", metavar="PYTHON|SRC",
        help="a second crysformer: its interpreter, or its folder src",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="seeds 0 to N - 1 (3)"
    )
    parser.add_argument(
        "--time-limit", type=seconds, default=60.0, metavar="S", help="seconds of each run (60)"
    )
    parser.add_argument(
        "--budget", type=float, metavar="MINUTES", help="begin no further run after this time"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True,
        help="folder for peers.json, peers.tsv, peers.md and the record of the runs",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="resume the run in the output folder")


def run(args: argparse.Namespace) -> int:
    """Run what is missing, write the tables, and print them."""
    if args.budget is not None and args.budget < 0:
        raise UsageError("--budget: expected a time above zero")
    if args.simulated and args.data is None:
        raise UsageError("--simulated needs --data, a data set of the recipe fifteen")
    from crysformer.evaluation.peers.programs import known_programs
    from crysformer.evaluation.peers.results import PeerResult
    from crysformer.evaluation.peers.run import refuse_other_versions, run_peers
    from crysformer.evaluation.record import Record
    from crysformer.report.peers import crystal_table, summarise, write_peers

    programs = known_programs(args.cctbx_python, args.against)
    chosen, skipped = _choose(args, programs)
    given = _given_crystals(args)  # before the folder is made: a file may be missing
    options = {"benchmark": "peers", "time_limit": args.time_limit}
    record = Record(args.output, options, args.resume, PeerResult)
    refuse_other_versions(record, chosen)
    crystals = _with_simulated(args, given, record.folder)
    seeds = range(args.seeds)
    try:
        with progress_bar(args, "peers") as progress:
            run_peers(record, crystals, chosen, seeds, args.time_limit, args.budget, progress)
    finally:  # also after Ctrl-C: what there is so far
        content = write_peers(
            record, programs, skipped,
            f"{counted(args.seeds, 'seed')}, at most {args.time_limit:g} s of wall time a run, one "
            "thread each, in turns.",
        )  # fmt: skip
    left = len(
        record.missing([(c.name, p.name, s) for c in crystals for p in chosen for s in seeds])
    )
    lines = crystal_table(summarise(record.results.values()), programs)
    if left:
        lines.append(f"{left} runs left to do: continue with --resume")
    emit(
        args,
        {**content, "left_to_do": left},
        "\n".join([*lines, f"written: {record.folder}/peers.md"]),
    )
    crashed = [r for r in record.results.values() if r.status == "crashed"]
    if crashed:
        first = crashed[0]
        raise CrysformerError(
            f"{counted(len(crashed), 'run')} ended without a result; first {first.program} on "
            f"{first.crystal}, seed {first.seed}: {first.message}"
        )
    return 0


def _choose(
    args: argparse.Namespace, programs: dict[str, Program]
) -> tuple[list[Program], dict[str, str]]:
    """The programs to run, and those that cannot be run, with the reason."""
    names = list(programs) if args.programs is None else args.programs.split(",")
    for name in names:
        if name not in programs:
            raise UsageError(f"--programs {name}: expected some of {', '.join(programs)}")
    skipped = {name: why for name in names if (why := programs[name].unavailable())}
    for name, why in skipped.items():
        log.warning("%s is skipped: %s", name, why)
    chosen = [programs[name] for name in names if name not in skipped]
    if not chosen:
        raise CrysformerError("none of the programs can be run here")
    return chosen, skipped


def _given_crystals(args: argparse.Namespace) -> list[PeerCrystal]:
    from crysformer.evaluation.peers.crystals import distinct, from_words, read_peer_list

    listed = [] if args.list is None else read_peer_list(args.list)
    given = [*listed, *(from_words(words) for words in args.crystal)]
    return given if args.simulated else distinct(given)


def _with_simulated(
    args: argparse.Namespace, given: list[PeerCrystal], folder: Path
) -> list[PeerCrystal]:
    from crysformer.evaluation.peers.crystals import distinct, simulated_crystals
    from crysformer.evaluation.regimes.grid import GRID, select

    if not args.simulated:
        return given
    conditions = select(GRID, args.conditions)
    made = simulated_crystals(folder, args.data, args.split, conditions, args.simulated)
    return distinct([*given, *made])
