"""Code shared by the commands: options, results on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crysformer.cli._progress import progress_bar as progress_bar
from crysformer.cli._run_log import add_to_log
from crysformer.errors import UsageError
from crysformer.wording import option

if TYPE_CHECKING:
    from crysformer.crystal.reflections import CrystalData

log = logging.getLogger("crysformer")

_PARAMETER = re.compile(r"`([a-z][a-z_]*)`")


def common_options() -> argparse.ArgumentParser:
    """The options of every command, -q, -v and --json, for ``parents=[...]``."""
    parser = argparse.ArgumentParser(add_help=False)
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", help="only warnings and the verdict")
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also the steps of every method, and tracebacks of failures",
    )
    parser.add_argument("--json", action="store_true", help="result on stdout as JSON")
    return parser


def with_flags(text: str, args: argparse.Namespace) -> str:
    """Replace parameter names in backticks by the options of the running command.

    The library names parameters (`time_limit`); whoever typed a command knows options
    (--time-limit) and positional arguments (DATA). Names that are neither stay as they are.

    Parameters
    ----------
    text
        A message of the library, or JSON that holds some.
    args
        The parsed command line; its ``usage`` lists the options that the command has.
    """
    words = set(re.findall(r"[\w-]+", getattr(args, "usage", "")))

    def translated(match: re.Match[str]) -> str:
        name = match[1]
        spellings = [option(name), *([name.upper()] if len(name) > 1 else ())]
        return next((word for word in spellings if word in words), match[0])

    return _PARAMETER.sub(translated, text)


def add_data_arguments(
    parser: argparse.ArgumentParser,
    help: str = "reflections: .mtz, CIF, SHELX .hkl, XDS_ASCII or .sca, also .gz; - for stdin",
    *,
    required: bool = True,
) -> None:
    """Add DATA and the options for reading it."""
    parser.add_argument("data", metavar="DATA", nargs=None if required else "?", help=help)
    group = parser.add_argument_group("reading DATA")
    group.add_argument(
        "--cell",
        type=cell_constants,
        metavar="A,B,C,ALPHA,BETA,GAMMA",
        help="unit cell in A and degrees, for files without one or to override theirs",
    )
    group.add_argument(
        "--space-group",
        metavar="SYMBOL",
        help="space group, such as P1 or 'P 21 21 21'; its number or operators; likewise",
    )
    group.add_argument("--labin", metavar="F,SIGF", help="columns to use, where several fit")
    group.add_argument("--block", metavar="NAME", help="block of a CIF to read, if not the first")
    group.add_argument(
        "--radiation",
        choices=("xray", "electron"),
        default="xray",
        help="scattering factors: xray (default), or electron for microED",
    )


def cell_constants(text: str) -> tuple[float, float, float, float, float, float]:
    """Parse six cell constants from ``a,b,c,alpha,beta,gamma`` (commas or spaces)."""
    try:
        a, b, c, alpha, beta, gamma = (float(x) for x in text.replace(",", " ").split())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected six numbers such as 41,30,24,90,90,90, found {text!r}"
        ) from None
    lengths, angles = (a, b, c), (alpha, beta, gamma)
    if not all(0 < x < math.inf for x in lengths) or not all(0 < x < 180 for x in angles):
        raise argparse.ArgumentTypeError(
            f"expected lengths above 0 and angles between 0 and 180, found {text!r}"
        )
    return a, b, c, alpha, beta, gamma


def positive(text: str) -> int:
    """Parse a whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a time limit, seconds above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds above zero, found {text!r}")
    return value


def seed(text: str) -> int:
    """Parse the seed of a random generator, a whole number from 0."""
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0, below 2^63, found {text!r}"
        )
    return int(text)


def load_data(args: argparse.Namespace, *, unknown_group: bool = False) -> CrystalData:
    """Read DATA with the given options, and log what reading changed or assumed.

    `unknown_group` accepts a file without space group, as `read_crystal` does.
    """
    import gemmi

    from crysformer.crystal.io.read import read_crystal

    data = read_crystal(
        args.data,
        cell=gemmi.UnitCell(*args.cell) if args.cell else None,
        space_group=args.space_group,
        labin=args.labin,
        radiation=args.radiation,
        block=args.block,
        unknown_group=unknown_group,
    )
    data = replace(
        data,
        notes=tuple(with_flags(note, args) for note in data.notes),
        warnings=tuple(with_flags(warning, args) for warning in data.warnings),
    )
    for note in data.notes:
        log.info("%s", note)
    return data


def add_sequence_arguments(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add --sequence."""
    parser.add_argument(
        "--sequence",
        required=required,
        metavar="SEQ|FASTA",
        help="one- or three-letter codes (several chains: separated by commas) or a FASTA or PIR "
        "file; D residues, blocked ends, others of the PDB and rings as in "
        "Ac-ELLK(D-Ala)LG-NH2 and cyclo-(L(MLE)F)",
    )


def add_composition_argument(parser: argparse.ArgumentParser) -> None:
    """Add --composition."""
    parser.add_argument(
        "--composition",
        metavar="FORMULA",
        help="in place of a sequence: molecular formula of the asymmetric unit or of one molecule, "
        "such as C45H60N4O4",
    )


def add_copies_argument(parser: argparse.ArgumentParser) -> None:
    """Add --copies."""
    parser.add_argument(
        "--copies",
        type=int,
        metavar="N",
        help="molecules in the asymmetric unit (default: estimated from the cell)",
    )


def add_building_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --dictionary and --build-time-limit."""
    parser.add_argument(
        "--dictionary",
        action="append",
        default=[],
        metavar="FILE.cif",
        help="monomer dictionary of a residue, or its component of the wwPDB's Chemical Component "
        "Dictionary, for the search (with coordinates) and refinement; may be repeated",
    )
    parser.add_argument(
        "--build-time-limit",
        type=seconds,
        default=300.0,
        metavar="S",
        help="seconds for building and refining a model (default 300)",
    )


def load_inputs(
    args: argparse.Namespace, *, unknown_group: bool = False
) -> tuple[CrystalData, tuple[str, ...] | None]:
    """DATA, and the sequences of the chains (None without --sequence).

    What had to be assumed about the sequences is among the warnings of the data.
    """
    data = load_data(args, unknown_group=unknown_group)
    if args.sequence is None:
        return data, None
    from crysformer.peptide.sequence_file import read_sequences_with_notes

    if getattr(args, "dictionary", ()):
        from crysformer.building.dictionaries import read_dictionary
        from crysformer.peptide.user_residues import add_residues

        add_residues([read_dictionary(file) for file in args.dictionary])
    reading = read_sequences_with_notes(args.sequence)
    return replace(data, warnings=(*data.warnings, *reading.notes)), reading.chains


def check_contents(args: argparse.Namespace) -> None:
    """Refuse a composition beside a sequence, and one that cannot be read.

    Raises
    ------
    UsageError
        In one line, before any data are read.
    """
    if args.composition is None:
        return
    from crysformer.crystal.molecular_formula import parse_formula

    if args.sequence is not None:
        raise UsageError(
            "both --sequence and --composition are given: a sequence has its composition already; "
            "leave one out"
        )
    parse_formula(args.composition)


def add_output_arguments(
    parser: argparse.ArgumentParser, what: str, *, required: bool = True
) -> None:
    """Add -o/--output for a folder that will hold `what`, and --overwrite."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=required, help=f"new folder for {what}"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="accept a folder that is not empty"
    )


def add_scheduler_argument(parser: argparse._ActionsContainer) -> None:
    """Add --scheduler."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS|local",
        help="have the work done by the workers of a dask.distributed scheduler such as "
        "tcp://host:8786, which see the same folders; local: --jobs workers on this machine "
        "(needs the extra `cluster`)",
    )


def emit(
    args: argparse.Namespace, result: dict[str, Any], text: str, verdict: str | None = None
) -> None:
    """Print a command's result on stdout: `result` with --json, else `text`.

    With -q the line `verdict`, where there is one, stands for the text, which the log of the run
    has in any case.
    """
    add_to_log(with_flags(text, args))
    shown = text if verdict is None or not args.quiet else verdict
    if args.json:
        shown = json.dumps(result, indent=2, allow_nan=False)
    print(with_flags(shown, args))
