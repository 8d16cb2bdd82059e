"""A deposited peptide with its measured data, as a finished model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import gemmi
import pytest

from crysformer.building.map_coefficients import map_coefficients
from crysformer.building.r_factors import r_factors
from crysformer.building.scaling import scale_model
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session")
def deposited_2ol9() -> gemmi.Structure:
    """SNQNNF in P1, with hydrogens and waters."""
    structure = gemmi.read_structure(str(SAMPLES / "2ol9.pdb.gz"))
    structure.setup_entities()
    return structure


@pytest.fixture(scope="session")
def finished_2ol9(deposited_2ol9: gemmi.Structure) -> SimpleNamespace:
    """The same, scaled to its data at 0.85 A."""
    return finished(deposited_2ol9, SAMPLES / "2ol9.mtz.gz")


@pytest.fixture(scope="session")
def helix() -> gemmi.Structure:
    """Fifteen residues of 5AE0 in a large cell."""
    structure = gemmi.read_structure(str(SAMPLES / "5AE0_15mer.pdb"))
    structure.setup_entities()
    return structure


def finished(structure: gemmi.Structure, reflections: Path) -> SimpleNamespace:
    data = read_crystal(reflections)
    free = free_set(data)
    scaled = scale_model(structure, data, free)
    return SimpleNamespace(
        data=data,
        free=free,
        scaled=scaled,
        coefficients=map_coefficients(data, free, scaled.F_model),
        r=r_factors(data, free, scaled.F_model),
        k_fold=None,
        program="servalcat 0.4.142",
        ab_initio=True,
    )
