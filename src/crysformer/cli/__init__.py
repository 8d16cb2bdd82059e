"""The command line: one thin module a command.

Each command lives in a module of its own with ``configure(parser)`` and ``run(args) -> int``.
Nothing heavy is imported before the command is known, so that ``crysformer --help`` is instant.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import crysformer
from crysformer.errors import CrysformerError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("crysformer.cli.demo", "solve the bundled crystals and compare with the truth"),
    "info": (
        "crysformer.cli.info",
        "what the data tell before phasing; without DATA, what is installed",
    ),
    "solve": ("crysformer.cli.solve", "amplitudes (and sequence) to phases, a map and a verdict"),
    "predict": ("crysformer.cli.predict", "the map that the network alone predicts"),
    "evaluate": ("crysformer.cli.evaluate", "measure a method on a test set"),
    "benchmark": ("crysformer.cli.benchmark", "all methods on the same crystals, and controls"),
    "dataset": ("crysformer.cli.dataset", "build, check and export data sets"),
    "train": ("crysformer.cli.train", "train a network"),
    "weights": ("crysformer.cli.weights", "list and verify the weights that ship"),
}

EXIT_BROKEN_PIPE = 141

log = logging.getLogger("crysformer")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print `message` on one line and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done (also when no convincing solution was found), 1 failure (also Ctrl-C), 2 usage,
        141 the reader of standard output went away.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = False
    try:
        args = _parse(arguments)
        verbose = args.verbose
        with _logging(args):
            status: int = args.run(args)
        sys.stdout.flush()
        return status
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        # What is still buffered has no reader: send it nowhere, or the interpreter complains.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _fail("interrupted", 1, verbose)
    except CrysformerError as error:
        return _fail(str(error), error.exit_code, verbose)
    except Exception as error:
        return _fail(describe_error(error), 1, verbose)


def _parse(argv: list[str]) -> argparse.Namespace:
    """Parse `argv` with the parser of the one command it names."""
    if not argv or argv[0] not in COMMANDS:
        root_parser().parse_args(argv or ["--help"])
        raise AssertionError("the root parser accepts no command of its own")
    parser = command_parser(argv[0])
    args = parser.parse_args(argv[1:])
    args.run = importlib.import_module(COMMANDS[argv[0]][0]).run
    return args


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command of `COMMANDS`, whose module is imported for it."""
    module_name, summary = COMMANDS[name]
    module = importlib.import_module(module_name)
    parser = OneLineParser(
        prog=f"crysformer {name}",
        description=module.__doc__ or summary,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    _add_common_options(parser)
    return parser


def root_parser() -> argparse.ArgumentParser:
    """The parser that lists the commands."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    parser = OneLineParser(
        prog="crysformer",
        usage="crysformer COMMAND [options]",
        description="Solve the crystallographic phase problem for peptides and small proteins.",
        epilog=f"commands:\n{listing}\n\n'crysformer COMMAND --help' tells about one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"crysformer {crysformer.__version__}"
    )
    parser.add_argument(
        "command", metavar="COMMAND", choices=list(COMMANDS), help=argparse.SUPPRESS
    )
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add -q, -v and --json to `parser`, or to each of its sub-commands."""
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for action in nested:
        for subparser in action.choices.values():
            _add_common_options(subparser)
    if nested:
        return
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", help="only warnings and results")
    volume.add_argument(
        "-v", "--verbose", action="store_true", help="more detail, and tracebacks of failures"
    )
    parser.add_argument("--json", action="store_true", help="result on stdout as JSON")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        if record.levelno >= logging.WARNING:
            return f"{record.levelname.lower()}: {message}"
        return message


@contextmanager
def _logging(args: argparse.Namespace) -> Iterator[None]:
    """Send the package's log to stderr while the command runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING if args.quiet else logging.DEBUG if args.verbose else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def describe_error(error: Exception) -> str:
    """One line for an exception that is not ours: what ran out, or where the program is wrong."""
    text = " ".join(str(error).split())
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (
        torch is not None
        and isinstance(error, RuntimeError)
        and (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text)
    ):
        return "out of memory; use a machine with more, or a smaller crystal, grid or batch"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return (
        f"internal error at {place}: {type(error).__name__}: {text}"
        " (a fault of this program; -v shows the traceback)"
    )


def _fail(message: str, status: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc(file=sys.stderr)
    print(f"crysformer: error: {message}", file=sys.stderr)
    return status
