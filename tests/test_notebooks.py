"""The notebooks of the documentation run from the first cell to the last."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_four_without_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "add-a-method", "add-a-model", "solve-a-measured-crystal", "train-three-minutes",
    ]  # fmt: skip
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert all(not cell.get("outputs") for cell in cells), path.name
        assert cells[0]["source"][0].startswith("# ")


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSFORMER_NOTEBOOK_SECONDS", "20")
    nbformat, nbclient = (importlib.import_module(name) for name in ("nbformat", "nbclient"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=280, resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    assert pictures(notebook) >= 1


def pictures(notebook: Any) -> int:
    """Outputs with a projection of a map."""
    return sum(
        "<svg" in output.get("data", {}).get("text/html", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
