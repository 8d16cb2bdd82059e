"""Download structures, build data sets from them, verify these, and write crystals as files."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crysformer.cli import _dataset_fetch
from crysformer.cli._common import (
    add_scheduler_argument,
    common_options,
    emit,
    log,
    positive,
    progress_bar,
    seed,
)
from crysformer.errors import CrysformerError, UsageError
from crysformer.wording import counted

if TYPE_CHECKING:
    from crysformer.data.dataset.manifest import Manifest

RECIPE_NAMES = ("dipeptide", "fifteen")
FORMATS = ("mtz", "ccp4", "pt", "pdb", "safetensors", "webdataset", "hub")
#: Formats of many maps in few files; pt is both.
SHARDED = ("pt", "safetensors", "webdataset")
SPLITS = ("train", "validation", "test")

ACTIONS = ("fetch", "build", "check", "export")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    fetch = actions.add_parser(
        "fetch",
        help="the paper's entries from RCSB PDB",
        description=_dataset_fetch.DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    _dataset_fetch.add_options(fetch)
    build = actions.add_parser(
        "build",
        help="structures to fragments.parquet and manifest.json",
        description="Make a data set from protein structures.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    build.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="PDB or mmCIF files (.gz, .bz2, .xz), tar archives of them, or folders of either",
    )
    build.add_argument("-o", "--output", metavar="DIR", required=True, help="the data set's folder")
    build.add_argument(
        "--recipe", choices=RECIPE_NAMES, required=True, help="two residues a crystal, or fifteen"
    )
    build.add_argument(
        "--index",
        metavar="TSV",
        help="table of entries: id, pdb_id, method, resolution, r_free, cluster_30 "
        "(default: index.tsv in a folder PATH)",
    )
    build.add_argument(
        "--limit", type=positive, metavar="N", help="read only the first N structure files"
    )
    build.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes (1)")
    build.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of the splits (0)")
    build.add_argument(
        "--strict", action="store_true", help="drop entries whose criteria are not all known"
    )
    build.add_argument(
        "--representatives",
        action="store_true",
        help="of each cluster of the index, only the file of the best resolution",
    )
    build.add_argument(
        "--repair",
        action="store_true",
        help="rebuild missing side-chain atoms by PDBFixer (needs the extra `curate`)",
    )
    add_scheduler_argument(build)
    _dataset_fetch.add_criteria(build)
    build.add_argument("--overwrite", action="store_true", help="replace what is in DIR")
    build.add_argument("--resume", action="store_true", help="continue an interrupted build")

    check = actions.add_parser(
        "check",
        help="verify a data set",
        description="Verify hashes, splits, cells and contacts of a data set.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    check.add_argument("folder", metavar="DIR", help="a data set")

    export = actions.add_parser(
        "export",
        help="write crystals as MTZ, maps, tensors, PDB files or shards of maps",
        description="Write the crystals of a data set as files: one or several for each crystal "
        "(mtz, ccp4, pdb, pt), shards of maps of a random part (safetensors, webdataset, and pt "
        "with --subset or --shard-size), or Parquet files with a data card (hub).",
        allow_abbrev=False,
        parents=[common_options()],
    )
    export.add_argument("folder", metavar="DIR", help="a data set")
    export.add_argument(
        "--format", choices=FORMATS, required=True, help="pt: tensors in the authors' layout"
    )
    export.add_argument(
        "-o", "--output", metavar="DIR", help="new folder (default: export_FORMAT in the data set)"
    )
    export.add_argument("--split", choices=SPLITS, help="only this split (default: all)")
    export.add_argument(
        "--limit", type=positive, metavar="N", help="only the first N of each split"
    )
    export.add_argument(
        "--overwrite", action="store_true", help="accept a folder that is not empty"
    )
    shards = export.add_argument_group("shards")
    shards.add_argument(
        "--subset", type=positive, metavar="N", help="N examples, by --seed (default: all)"
    )
    shards.add_argument(
        "--shard-size", type=positive, metavar="MIB", help="about so many MiB a file (256)"
    )
    shards.add_argument("--seed", type=seed, default=0, metavar="N", help="choice and order (0)")
    shards.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes (1)")
    add_scheduler_argument(shards)
    shards.add_argument(
        "--resume", action="store_true", help="make only the shards that are missing or changed"
    )


def run(args: argparse.Namespace) -> int:
    """Run the chosen action."""
    actions = {"fetch": _dataset_fetch.run, "build": _build, "check": _check, "export": _export}
    return actions[args.action](args)


def _build(args: argparse.Namespace) -> int:
    from crysformer.data.dataset.build import build

    with progress_bar(args, f"building {args.recipe}") as progress:
        manifest = build(
            args.paths,
            args.output,
            args.recipe,
            index=args.index,
            limit=args.limit,
            jobs=args.jobs,
            seed=args.seed,
            strict=args.strict,
            criteria=_dataset_fetch.criteria_of(args),
            representatives=args.representatives,
            repair=args.repair,
            scheduler=args.scheduler,
            overwrite=args.overwrite,
            resume=args.resume,
            progress=progress,
        )
    emit(args, asdict(manifest), _summary(manifest, args.output))
    fragments = manifest.counts["fragments"]
    if not fragments["train"]:
        log.warning(
            "%s: the training split is empty, %s; splits go by groups of related chains: "
            "build from more structures, or choose another --seed",
            args.output,
            f"{counted(sum(fragments.values()), 'fragment is', 'fragments are')} in the others",
        )
    damaged = manifest.unreadable
    if damaged:
        more = f" and {len(damaged) - 1} more, listed in manifest.json" if len(damaged) > 1 else ""
        raise CrysformerError(
            f"{damaged[0]['file']}: {damaged[0]['reason']}{more}; the data set was made without"
        )
    return 0


def _summary(manifest: Manifest, folder: str) -> str:
    from crysformer.data.store import FRAGMENTS

    counts = manifest.counts
    lines = [
        f"{folder}: {manifest.recipe} from {counted(counts['files'], 'structure file')}, "
        f"{counted(counts.get('chains', 0), 'chain')}, "
        f"{counted(counts.get('residues', 0), 'residue')}",
        f"{'split':<12}{'fragments':>12}{'entries':>10}{'clusters':>10}",
    ]
    lines += [
        f"{split:<12}{counts['fragments'][split]:>12}{counts['entries'][split]:>10}"
        f"{counts['clusters'][split]:>10}"
        for split in SPLITS
    ]
    sections = {
        "not used": manifest.discards,
        "kept though not known": manifest.kept_unknown,
        "altered": manifest.changes,
    }
    for title, figures in sections.items():
        lines += [f"{title}:"] if figures else []
        lines += [f"  {n:>10}  {name.replace('_', ' ')}" for name, n in figures.items()]
    lines += [f"  {problem['file']}: {problem['reason']}" for problem in manifest.problems[:20]]
    content = manifest.hashes["content"]
    lines.append(f"checksum of the content (SHA-256), equal for equal data sets: {content}")
    lines.append(f"checksum of the file (data_sha256 in other files): {manifest.hashes[FRAGMENTS]}")
    return "\n".join(lines)


def _check(args: argparse.Namespace) -> int:
    from crysformer.data.dataset.check import check

    problems = check(args.folder)
    text = "\n".join(problems) or f"{args.folder}: all checks passed"
    emit(args, {"passed": not problems, "problems": problems}, text)
    return 1 if problems else 0


def _export(args: argparse.Namespace) -> int:
    output = args.output or str(Path(args.folder) / f"export_{args.format}")
    several = args.subset is not None or args.shard_size is not None
    if args.format in SHARDED and (several or args.format != "pt"):
        return _export_shards(args, output)
    if several or args.resume or args.jobs > 1 or args.scheduler is not None:
        raise UsageError(
            "--subset, --shard-size, --jobs, --scheduler and --resume are for shards, which are of "
            f"the formats {', '.join(SHARDED)} (pt with --subset or --shard-size)"
        )
    from crysformer.data.dataset.export import export

    n = export(args.folder, output, args.format, args.split, args.limit, args.overwrite)
    emit(args, {"crystals": n, "output": output}, f"{counted(n, 'crystal')} written to {output}")
    return 0


def _export_shards(args: argparse.Namespace, output: str) -> int:
    if args.limit is not None:
        raise UsageError("--limit does not apply to shards; give --subset")
    from crysformer.data.dataset.export_shards import SHARD_MIB, export_shards
    from crysformer.parallel import Workers

    with progress_bar(args, "exporting") as progress:
        written = export_shards(
            args.folder,
            output,
            args.format,
            args.subset,
            args.split,
            args.seed,
            args.shard_size or SHARD_MIB,
            Workers(args.jobs, args.scheduler),
            overwrite=args.overwrite,
            resume=args.resume,
            progress=progress,
        )
    n = sum(shard["examples"] for shard in written.shards)
    size = sum(shard["bytes"] for shard in written.shards) / 2**20
    emit(
        args,
        {"crystals": n, "output": output, "shards": written.shards},
        f"{counted(n, 'crystal')} in {counted(len(written.shards), 'shard')}, {size:.1f} MiB, "
        f"written to {output}",
    )
    return 0
