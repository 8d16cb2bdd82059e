"""The command line: one thin module for each command.

Each command lives in a module of its own with ``configure(parser)`` and ``run(args) -> int``,
and ``ACTIONS`` where it has sub-commands. Nothing heavy is imported before the command is known, so
that ``crysformer --help`` is instant.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import crysformer
from crysformer.cli._common import common_options, with_flags
from crysformer.cli._completion import SHELLS, PrintCompletion
from crysformer.cli._progress import StderrHandler
from crysformer.cli._run_log import logged_folder, quoted, run_log
from crysformer.errors import CrysformerError
from crysformer.signals import exit_status, sigterm_as_exception

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("crysformer.cli.demo", "solve the bundled crystals and compare with the truth"),
    "info": (
        "crysformer.cli.info",
        "report on the data before phasing; without DATA, what is installed",
    ),
    "solve": (
        "crysformer.cli.solve",
        "find phases and a map from amplitudes, with the sequence if known",
    ),
    "build": (
        "crysformer.cli.build",
        "build and refine a model from phases of this or any other program",
    ),
    "report": ("crysformer.cli.report", "write the report of a result folder, for a browser"),
    "predict": ("crysformer.cli.predict", "predict a map with the network alone"),
    "evaluate": ("crysformer.cli.evaluate", "measure a method on a test set"),
    "benchmark": (
        "crysformer.cli.benchmark",
        "compare all methods on the same crystals, and on controls",
    ),
    "dataset": ("crysformer.cli.dataset", "build, check and export data sets"),
    "train": ("crysformer.cli.train", "train a network"),
    "experiment": ("crysformer.cli.experiment", "repeat the tables of the CrysFormer paper"),
    "weights": ("crysformer.cli.weights", "list and verify the bundled weights"),
}

EXIT_BROKEN_PIPE = 141

#: Turns that a thread of libgomp waits in a loop before it sleeps. Its default, thousands of times
#: more, keeps every core busy between small operations: where another program runs, a solution
#: took 2 to 3 times longer. On an idle machine this value costs 6 to 14 % (docs/phasing.md).
SPIN_COUNT = "1000"

log = logging.getLogger("crysformer")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print `message` on one line and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and keep the usage of the innermost parser for `with_flags`."""
        parsed, rest = super().parse_known_args(args, namespace)
        parsed.usage = getattr(parsed, "usage", self.format_usage())
        return parsed, rest


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done (also when no convincing solution was found), 1 failure, 2 usage, 130 Ctrl-C, 143
        SIGTERM, 141 the reader of standard output went away.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _let_waiting_threads_sleep()
    _escape_what_cannot_be_encoded()
    args = argparse.Namespace(verbose=False)
    try:
        args = _parse(arguments)
        with _logging(args), sigterm_as_exception(), _kept(arguments, args):
            status: int = args.run(args)
        sys.stdout.flush()
        return status
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        # What is still buffered has no reader: send it nowhere, or the interpreter complains.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt as stop:
        return _fail(failure(stop), exit_status(stop), args)
    except CrysformerError as error:
        return _fail(failure(error), error.exit_code, args)
    except Exception as error:
        return _fail(failure(error), 1, args)


def failure(error: BaseException) -> str:
    """One line for whatever ended a command."""
    if isinstance(error, KeyboardInterrupt):
        # A command that has something to say on how to go on says it in the exception.
        return "; ".join(["interrupted", *map(str, error.args)])
    if isinstance(error, CrysformerError) or not isinstance(error, Exception):
        return str(error)
    return describe_error(error)


def _kept(arguments: Sequence[str], args: argparse.Namespace) -> AbstractContextManager[None]:
    """The log of the run beside its results, for commands that have one."""
    args.command_line = quoted(arguments)
    return run_log(
        logged_folder(arguments[0], args),
        args.command_line,
        lambda error: with_flags(failure(error), args),
        resume=getattr(args, "resume", False),
    )


def _let_waiting_threads_sleep() -> None:
    """Set libgomp's waiting, which it reads when torch is loaded, unless the user has set it."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def _escape_what_cannot_be_encoded() -> None:
    """Print file names with characters that the terminal lacks, or that are not UTF-8, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
        parents=[] if hasattr(module, "ACTIONS") else [common_options()],
    )
    module.configure(parser)
    return parser


def root_parser() -> argparse.ArgumentParser:
    """The parser that lists the commands."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    parser = OneLineParser(
        prog="crysformer",
        usage="crysformer COMMAND [options]",
        description="Solve the crystallographic phase problem for peptides and small proteins.",
        epilog=f"commands:\n{listing}\n\n'crysformer COMMAND --help' describes one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"crysformer {crysformer.__version__}"
    )
    parser.add_argument(
        "--completion",
        action=PrintCompletion,
        commands=COMMANDS,
        choices=SHELLS,
        help="print the completion script of a shell",
    )
    parser.add_argument(
        "command", metavar="COMMAND", choices=list(COMMANDS), help=argparse.SUPPRESS
    )
    return parser


class _Formatter(logging.Formatter):
    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__("%(message)s")
        self.args = args

    def format(self, record: logging.LogRecord) -> str:
        message = with_flags(super().format(record), self.args)
        if record.levelno >= logging.WARNING:
            return f"{record.levelname.lower()}: {message}"
        return message


@contextmanager
def _logging(args: argparse.Namespace) -> Iterator[None]:
    """Send the package's log to stderr while the command runs."""
    handler = StderrHandler()
    handler.setFormatter(_Formatter(args))
    handler.setLevel(
        logging.WARNING if args.quiet else logging.DEBUG if args.verbose else logging.INFO
    )
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def describe_error(error: Exception) -> str:
    """One line for an unexpected exception: the exhausted resource, or where the bug is."""
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
        " (bug in crysformer; rerun with -v for the traceback)"
    )


def _fail(message: str, status: int, args: argparse.Namespace) -> int:
    if args.verbose:
        traceback.print_exc(file=sys.stderr)
    print(f"crysformer: error: {with_flags(message, args)}", file=sys.stderr)
    return status
