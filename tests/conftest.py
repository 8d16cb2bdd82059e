"""Options, markers and fixtures for all tests."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.peak_picking import PeakPicker
from crysformer.crystal.reflections import CrystalData

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Import a script of the repository, such as ``docs/make_results.py``, which is no module."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


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
        if item.get_closest_marker("browser") and browser_programs() is None:
            reason = "browser: needs chromium, chromedriver and the package selenium"
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("notebook") and not notebook_programs_found():
            reason = "notebook: needs nbclient and ipykernel (the extra notebook)"
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("peers") and not os.environ.get("CRYSFORMER_CCTBX_PYTHON"):
            reason = "peers: set CRYSFORMER_CCTBX_PYTHON to an interpreter that has cctbx"
            item.add_marker(pytest.mark.skip(reason=reason))


def cuda_available() -> bool:
    import torch

    return torch.cuda.is_available()


def servalcat_found() -> bool:
    beside = str(Path(sys.executable).parent)
    return bool(shutil.which("servalcat") or shutil.which("servalcat", path=beside))


def notebook_programs_found() -> bool:
    return all(importlib.util.find_spec(name) for name in ("nbclient", "ipykernel"))


def browser_programs() -> tuple[str, str] | None:
    """Chromium and its driver, if they and selenium are installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None or importlib.util.find_spec("selenium") is None:
        return None
    return chromium, driver


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of outside data: structures/, deposited/, experimental/ and reference/."""
    folder = os.environ.get("CRYSFORMER_SHARED")
    if not folder:
        pytest.skip("needs outside data: set CRYSFORMER_SHARED to its folder")
    if not Path(folder).is_dir():
        pytest.fail(f"CRYSFORMER_SHARED={folder}: no such folder")
    return Path(folder)


_SULPHUR_CELL = gemmi.UnitCell(9, 11, 10, 90, 101, 90)
_SULPHUR_B = 6.0


def sulphur_crystal(
    frac: NDArray[np.float64], number: list[int], group: str, d_min: float
) -> tuple[CrystalData, NDArray[np.complex128]]:
    """Amplitudes with 3 % error, and structure factors by gemmi's direct summation."""
    space_group = gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()  # all mates, in P1
    structure.cell = _SULPHUR_CELL
    for site, z in zip(frac.tolist(), number, strict=True):
        for op in space_group.operations():
            atom = gemmi.SmallStructure.Site()
            atom.element = gemmi.Element(z)
            atom.fract = gemmi.Fractional(*op.apply_to_xyz(site))
            atom.occ, atom.u_iso = 1.0, _SULPHUR_B / (8 * math.pi**2)
            structure.add_site(atom)
    hkl = gemmi.make_miller_array(_SULPHUR_CELL, space_group, d_min)
    calculator = gemmi.StructureFactorCalculatorX(_SULPHUR_CELL)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl])
    f = np.abs(F) * (1 + 0.03 * np.random.default_rng(1).standard_normal(len(F)))
    return CrystalData(_SULPHUR_CELL, space_group, hkl, np.abs(f), 0.03 * np.abs(f)), F


def packed(n: int, group: str, apart: float = 1.4) -> NDArray[np.float64]:
    """Random sites that keep their distance, also from mates, (n, 3)."""
    rng = np.random.default_rng(0)
    data = CrystalData(
        _SULPHUR_CELL, gemmi.SpaceGroup(group), np.zeros((0, 3), np.int32), np.zeros(0)
    )
    picker = PeakPicker(data, (2, 2, 2), apart)
    sites = np.zeros((0, 3))
    while len(sites) < n:
        site = rng.random((1, 3))
        others = np.concatenate((picker.mates(sites), picker.mates(site)[1:]))
        if picker.distance(others - site).min() > apart:
            sites = np.concatenate((sites, site))
    return sites


@pytest.fixture(scope="session")
def sulphurs() -> tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]]:
    """Data to 1.1 A, structure factors and sites of 3 S and 27 C, N and O in P21."""
    frac = packed(30, "P 1 21 1")
    return *sulphur_crystal(frac, [16] * 3 + [6, 7, 8] * 9, "P 1 21 1", 1.1), frac
