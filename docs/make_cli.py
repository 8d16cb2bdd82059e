"""Write docs/cli.md from the parsers themselves: python docs/make_cli.py."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from crysformer.cli import COMMANDS, command_parser, root_parser

HEAD = """# The command line

Made by `python docs/make_cli.py` from the program's own help.

Exit codes: 0 done (a run that finds no convincing solution is done, too: it says `solved: false`),
1 failure (also Ctrl-C), 2 usage. Results go to stdout, progress and log to stderr. A failure is one
line on stderr, and leaves no half-written files; an interrupted `solve` leaves its state, for
`--resume`. Output folders and files are made with their
parents; one that is not empty is refused without `--overwrite`.
"""


def blocks(parser: argparse.ArgumentParser) -> list[str]:
    """The help of a command, and of each of its sub-commands."""
    texts = [f"## {parser.prog}\n\n```\n{parser.format_help().rstrip()}\n```\n"]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                texts += blocks(subparser)
    return texts


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    parsers = [root_parser(), *map(command_parser, COMMANDS)]
    text = "\n".join([HEAD, *(block for parser in parsers for block in blocks(parser))])
    (Path(__file__).parent / "cli.md").write_text(text, encoding="utf-8")
