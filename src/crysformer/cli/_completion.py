"""Completion of commands, options and file names in a shell, written by shtab."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping
from typing import Any

from crysformer.cli._common import common_options

SHELLS = ("bash", "zsh", "fish")

#: Placeholders of arguments that are files or folders.
_FILE = re.compile("DATA|DIR|FASTA|FILE|LIST|MTZ|PATH|PREFIX|RUN|TOML|TSV")


def completion_script(shell: str, commands: Mapping[str, tuple[str, str]]) -> str:
    """Write the completion script of a shell.

    Parameters
    ----------
    shell
        One of `SHELLS`.
    commands
        Module and summary of each command.

    Returns
    -------
    str
        The script, for standard output.
    """
    import shtab

    script: str = shtab.complete(_whole_parser(commands), shell=shell)
    return script


def _whole_parser(commands: Mapping[str, tuple[str, str]]) -> argparse.ArgumentParser:
    """One parser with all commands; the program itself makes only that of the command given."""
    import shtab

    parser = argparse.ArgumentParser(prog="crysformer")
    parser.add_argument("--version", action="store_true", help="version of the program")
    parser.add_argument("--completion", choices=SHELLS, help="completion script of a shell")
    subparsers = parser.add_subparsers()
    for name, (module_name, summary) in commands.items():
        module = importlib.import_module(module_name)
        parents = [] if hasattr(module, "ACTIONS") else [common_options()]
        module.configure(subparsers.add_parser(name, help=summary, parents=parents))
    for action in _actions(parser):
        if not action.choices and _FILE.search(str(action.metavar or "")):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All actions of a parser and of the parsers below it."""
    found: list[argparse.Action] = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _actions(below)
    return found


class PrintCompletion(argparse.Action):
    """Print the script of the shell named, and exit."""

    def __init__(self, *args: Any, commands: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands = commands

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Print and exit with 0."""
        print(completion_script(values, self.commands))
        parser.exit(0)
