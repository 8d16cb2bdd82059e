"""Compiled functions: without numba, without a folder to keep them, and on several threads."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from crysformer.compiled import can_compile, over_ranges


@pytest.fixture
def forgotten() -> Iterator[None]:
    can_compile.cache_clear()
    yield
    can_compile.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_a_numba_that_refuses_numpy_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str) -> ModuleType:
        raise ImportError(f"{name} needs NumPy 2.3 or less")

    monkeypatch.setattr(importlib, "import_module", refused)
    assert not can_compile()


MODULE = """
from crysformer.compiled import compiled

@compiled
def twice(x):
    return 2 * x
"""


RUN = """
import logging
logging.basicConfig(level=logging.INFO)
import doubling
print(doubling.twice(21), doubling.twice(0.5))
"""


@pytest.mark.skipif(os.name != "posix", reason="makes folders read-only")
def test_compiles_where_no_folder_can_be_written_to(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    source = tmp_path / "installed"
    source.mkdir()
    (source / "doubling.py").write_text(MODULE)
    # files where numba would make folders: as good as read-only, for the superuser too
    (source / "__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / "cache"),
        "PYTHONPATH": os.pathsep.join([str(source), *filter(None, sys.path)]),
    }
    run = subprocess.run(
        [sys.executable, "-c", RUN],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split() == ["42", "1.0"], run.stderr
    assert run.stderr.count("compiling functions for this processor") == 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_ranges_cover_every_row_once(threads: int, n: int) -> None:
    done: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        over_ranges(lambda rows: done.extend(range(rows.start, rows.stop)), n)
        with pytest.raises(ZeroDivisionError):
            over_ranges(lambda rows: 1 // 0, n)  # type: ignore[arg-type, return-value]
    finally:
        torch.set_num_threads(before)
    assert sorted(done) == list(range(n))
