"""Write the report of a result folder: report.html, one file for a browser, offline.

Verdict in words, density and model in 3D, candidates and the course of the search, quality of the
data, notes and references. `solve` writes it as well; this command repeats it for a folder that
solve or build wrote, or for all crystals of a list, with a page that compares them.
"""

from __future__ import annotations

import argparse

from crysformer.cli._common import emit


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", metavar="DIR", help="folder written by solve or build, or by solve of a list"
    )


def run(args: argparse.Namespace) -> int:
    """Write the report, and name the file."""
    from crysformer.workflow.reports import write_reports

    written = write_reports(args.folder)
    emit(args, {"written": [str(path) for path in written]}, "\n".join(map(str, written)))
    return 0
