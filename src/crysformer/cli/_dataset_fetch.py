"""``crysformer dataset fetch``: the paper's entries from RCSB PDB."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from crysformer.cli._common import (
    add_output_arguments,
    add_scheduler_argument,
    emit,
    positive,
    progress_bar,
    seed,
)
from crysformer.errors import CrysformerError

if TYPE_CHECKING:
    from crysformer.data.criteria import Criteria
    from crysformer.data.rcsb.fetch_record import Fetched

DESCRIPTION = """\
Choose entries by the criteria of the paper's appendix B through the search of RCSB PDB, and
download their coordinates (mmCIF). DIR then holds structures/, index.tsv with the sequence clusters
at 30 % identity, SHA256SUMS and fetch.json, and `crysformer dataset build DIR` takes it as it is.
An interrupted download goes on with --resume; files with the right checksum are not read again.
"""


def add_criteria(parser: argparse.ArgumentParser) -> None:
    """Add the options of the criteria, by default those of the paper."""
    group = parser.add_argument_group("criteria (defaults: the paper's)")
    group.add_argument(
        "--released-after", type=int, default=1995, metavar="YEAR", help="released after it (1995)"
    )
    group.add_argument(
        "--min-length", type=positive, default=40, metavar="N", help="residues of a chain (40)"
    )
    group.add_argument(
        "--max-resolution", type=float, default=2.75, metavar="A", help="A, or better (2.75)"
    )
    group.add_argument(
        "--max-r-free", type=float, default=0.28, metavar="R", help="free R, or lower (0.28)"
    )


def criteria_of(args: argparse.Namespace) -> Criteria:
    """The criteria of the command line."""
    from crysformer.data.criteria import Criteria

    return Criteria(args.released_after, args.min_length, args.max_resolution, args.max_r_free)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_output_arguments(parser, "structures/, index.tsv, SHA256SUMS and fetch.json")
    parser.add_argument("--resume", action="store_true", help="go on with an earlier choice")
    parser.add_argument(
        "--all-members",
        action="store_true",
        help="every chain that fits, not only the best resolved of each 30 %% cluster",
    )
    parser.add_argument(
        "--fraction", type=float, default=1.0, metavar="F",
        help="part of the chains, by --seed (1; the paper took 0.5)",
    )  # fmt: skip
    parser.add_argument("--limit", type=positive, metavar="N", help="at most N chains, by --seed")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="order of chains (0)")
    parser.add_argument(
        "--max-rate", type=float, default=5.0, metavar="R", help="downloads a second, at most (5)"
    )
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="downloads side by side (1)"
    )
    add_scheduler_argument(parser)
    parser.add_argument(
        "--retries", type=int, default=5, metavar="N",
        help="further tries of a request, with growing waits (5)",
    )  # fmt: skip
    add_criteria(parser)
    group = parser.add_argument_group("mirrors (default: RCSB PDB)")
    group.add_argument("--search-url", metavar="URL", help="the Search API, version 2")
    group.add_argument("--files-url", metavar="URL", help="folder of 1abc.cif.gz")
    group.add_argument("--clusters-url", metavar="URL", help="clusters of entities at 30 %%")


def run(args: argparse.Namespace) -> int:
    """Search and download; 1 if some entries could not be had."""
    from crysformer.data.rcsb.fetch import fetch
    from crysformer.data.rcsb.fetch_record import Service
    from crysformer.data.rcsb.http_client import HttpSettings
    from crysformer.parallel import Workers

    urls = {name: getattr(args, f"{name}_url") for name in ("search", "files", "clusters")}
    with progress_bar(args, "downloading") as progress:
        fetched = fetch(
            args.output,
            criteria_of(args),
            representatives=not args.all_members,
            fraction=args.fraction,
            limit=args.limit,
            seed=args.seed,
            max_rate=args.max_rate,
            workers=Workers(args.jobs, args.scheduler),
            service=Service(**{name: url for name, url in urls.items() if url is not None}),
            settings=HttpSettings(tries=args.retries + 1),
            overwrite=args.overwrite,
            resume=args.resume,
            progress=progress,
        )
    emit(args, asdict(fetched), _summary(fetched, args.output))
    lost = [*fetched.missing, *fetched.failed]
    if lost:
        why = fetched.failed.get(lost[0], "the server has no such file")
        raise CrysformerError(
            f"{len(lost)} of {fetched.counts['entries']} entries could not be had; first "
            f"{lost[0]}: {why}"
        )
    return 0


def _summary(fetched: Fetched, folder: str) -> str:
    counts = fetched.counts
    return "\n".join(
        [
            f"{folder}: {counts['entities']} of {counts['hits']} chains that fit, "
            f"{counts['entries']} entries, {counts['bytes'] / 2**20:.1f} MiB",
            *(
                f"  {counts[name]:>8}  {name}"
                for name in ("downloaded", "kept", "changed", "missing", "failed")
                if counts[name]
            ),
            f"next: crysformer dataset build {folder} -o DATA --recipe dipeptide",
        ]
    )
