"""A solved crystal with its results and report."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.samples import FOLDER
from crysformer.workflow.solve import solve_to_folder


@pytest.fixture(scope="session")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "gly-phe"
    data = read_crystal(FOLDER / "gf.mtz.gz")
    solution, _ = solve_to_folder(data, folder, "GF", time_limit=60, seed=1, build_time_limit=60)
    assert solution.solved
    return folder
