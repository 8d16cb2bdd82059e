"""Options, markers and fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="slow: needs --run-slow"))
        if item.get_closest_marker("gpu") and not cuda_available():
            item.add_marker(pytest.mark.skip(reason="gpu: no CUDA device"))
        if item.get_closest_marker("external") and not servalcat_found():
            item.add_marker(pytest.mark.skip(reason="external: servalcat not found"))


def cuda_available() -> bool:
    import torch

    return torch.cuda.is_available()


def servalcat_found() -> bool:
    beside = str(Path(sys.executable).parent)
    return bool(shutil.which("servalcat") or shutil.which("servalcat", path=beside))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of outside data: structures/, deposited/, experimental/ and reference/."""
    folder = os.environ.get("CRYSFORMER_SHARED")
    if not folder:
        pytest.skip("needs outside data: set CRYSFORMER_SHARED to its folder")
    if not Path(folder).is_dir():
        pytest.fail(f"CRYSFORMER_SHARED={folder}: no such folder")
    return Path(folder)
