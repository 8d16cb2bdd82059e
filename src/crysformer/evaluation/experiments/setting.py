"""The file that says what an output folder was begun with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crysformer.errors import InputError
from crysformer.files import write_json
from crysformer.schema import read_json_object

#: File in the output folder with what the experiment is.
SETTING = "experiment.json"
#: Folder with its complete pieces.
ROWS = "rows"


def check_setting(folder: Path, setting: Mapping[str, Any]) -> None:
    """Write what the experiment is, or check that it is the one begun in this folder.

    Raises
    ------
    InputError
        If it was begun with another setting.
    """
    path = folder / SETTING
    setting = json.loads(json.dumps(dict(setting)))
    if not path.is_file():
        write_json(path, setting)
        return
    begun = read_piece(path)
    for name, value in setting.items():
        if begun.get(name) != value:
            raise InputError(
                f"{folder}: begun with {name} = {begun.get(name)!r}, now {value!r}; choose "
                "another folder, or the same options to go on"
            )


def read_piece(path: Path) -> dict[str, Any]:
    """Read the JSON of a complete piece.

    Raises
    ------
    InputError
        If it cannot be read; with what to do.
    """
    try:
        return read_json_object(path)
    except InputError as error:
        raise InputError(f"{error}; delete it to repeat it") from error


def start_afresh(folder: Path) -> None:
    """Forget the pieces of an experiment that was begun in a folder; other files stay."""
    if (folder / SETTING).is_file():
        shutil.rmtree(folder / ROWS, ignore_errors=True)
        (folder / SETTING).unlink()
