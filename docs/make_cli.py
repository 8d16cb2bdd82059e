"""Write docs/cli.md from the parsers themselves: python docs/make_cli.py."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from pathlib import Path

from crysformer.cli import COMMANDS, main

HEAD = """# The command line

Made by `python docs/make_cli.py` from the program's own help.

Exit codes: 0 done (also when no convincing solution was found: then `solved: false`), 1 failure,
2 usage (an option that is unknown, malformed, or has no meaning whatever the file holds), 130
Ctrl-C, 143 SIGTERM. Results go to stdout, progress and log to stderr. A failure is one line on
stderr and leaves no half-written files. An interrupted `solve` writes its best candidate and its
state, an interrupted `build` its best model, `train` its checkpoint, and `dataset build` keeps what
is finished, for `--resume`.
One process at a time writes into an output folder.
Missing parents of output folders and files are made; a folder that is not empty is rejected without
`--overwrite`.

On a terminal a bar shows the method that runs, the best confidence, the time limit and the time
left; elsewhere there is a line every 30 s. `-v` adds the steps of every method; `-q` leaves only
warnings and, of `solve`, `build`, `predict`, `train`, `evaluate` and `demo`, the line of the
result.
`solve`, `build`, `train`, `evaluate`, `benchmark` and `demo` leave `crysformer.log` in the output
folder, `solve` of a list in that of every crystal as well, and `predict` leaves `PREFIX.log`: the
command line, quoted for a shell, versions, and every line of the run with its time, the steps of
the methods included. `--resume` adds to it; a run that is refused leaves it as it was.
"""


def section(*command: str) -> str:
    """The help of a command or of one of its actions, as a section of Markdown."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        main([*command, "--help"])
    return f"## {' '.join(('crysformer', *command))}\n\n```\n{stream.getvalue().rstrip()}\n```\n"


def sections() -> list[str]:
    """The help of the program, and of every command followed by its actions."""
    texts = [section()]
    for name, (module, _) in COMMANDS.items():
        actions = getattr(importlib.import_module(module), "ACTIONS", ())
        texts += [section(name), *(section(name, action) for action in actions)]
    return texts


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    path = Path(__file__).parent / "cli.md"
    path.write_text("\n".join([HEAD, *sections()]), encoding="utf-8")
