"""Reports of result folders."""

from __future__ import annotations

from pathlib import Path

from crysformer.crystal.quality.report import DataReport
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.files import write_bytes
from crysformer.report.html import REPORT, batch_report, html_report
from crysformer.report.html.result_folder import is_result_folder
from crysformer.schema import read_json_object

#: Results of a list.
_LIST = "results.json"


def write_report(folder: str | Path, quality: tuple[CrystalData, DataReport] | None = None) -> Path:
    """Write ``report.html`` into a folder that `solve` or `build` wrote.

    Parameters
    ----------
    folder, quality
        As for `crysformer.report.html.html_report`.

    Raises
    ------
    InputError
        If the folder does not hold a solution.
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, with words on what there is and how to go on.
    """
    path = Path(folder) / REPORT
    try:
        write_bytes(path, html_report(folder, quality).encode("utf-8"))
    except KeyboardInterrupt as stop:
        raise type(stop)(
            f"the results are in {folder}; `crysformer report {folder}` writes {REPORT}"
        ) from stop
    return path


def write_reports(folder: str | Path) -> list[Path]:
    """Write the reports of a result folder, or of all crystals of a list and a page of them.

    Returns
    -------
    list of Path
        What was written; of a list, the page that compares the crystals comes first.

    Raises
    ------
    InputError
        If the folder holds neither.
    """
    folder = Path(folder)
    if is_result_folder(folder) or not (folder / _LIST).is_file():
        return [write_report(folder)]
    crystals = read_json_object(folder / _LIST).get("crystals")
    if not isinstance(crystals, list) or not all(isinstance(x, dict) for x in crystals):
        raise InputError(f"{folder / _LIST}: not the results of a list")
    names = [str(crystal.get("name")) for crystal in crystals]
    # a name from a file leads nowhere but into the folder
    inside = [folder / name for name in names if Path(name).name == name]
    written = [write_report(path) for path in inside if is_result_folder(path)]
    return [write_batch_report(folder, crystals), *written]


def write_batch_report(folder: Path, crystals: list[dict[str, object]]) -> Path:
    """Write the page that compares the crystals of a list; it links to the reports there are."""
    path = folder / REPORT
    write_bytes(path, batch_report(folder, crystals).encode("utf-8"))
    return path
