"""Random amplitudes on small cells, and peptides displaced at random."""

from __future__ import annotations

from collections.abc import Callable

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import Peptides


@pytest.fixture
def crystal() -> Callable[..., CrystalData]:
    """Build random amplitudes on the reflections of a small cell."""

    def build(group: str, d_min: float = 2.2) -> CrystalData:
        space_group = gemmi.SpaceGroup(group)
        system = space_group.crystal_system_str()
        angles = {"triclinic": (80.0, 95.0, 103.0), "monoclinic": (90.0, 102.0, 90.0)}
        lengths = (9.0, 11.0, 13.0)
        if system in ("tetragonal", "trigonal", "hexagonal"):
            lengths = (14.0, 14.0, 17.0)
        if system == "cubic":
            lengths = (14.0, 14.0, 14.0)
        if system in ("trigonal", "hexagonal"):
            angles[system] = (90.0, 90.0, 120.0)
        cell = gemmi.UnitCell(*lengths, *angles.get(system, (90.0, 90.0, 90.0)))
        hkl = gemmi.make_miller_array(cell, space_group, d_min).astype(np.int32)
        f = np.random.default_rng(1).uniform(1, 9, len(hkl))
        f[::7] = np.nan
        return CrystalData(cell, space_group, hkl, f, 0.1 * f, source="test")

    return build


@pytest.fixture
def positions() -> Callable[..., torch.Tensor]:
    """Displace the atoms of peptides, shape (n, atoms, 3)."""

    def build(peptides: Peptides, n: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        noise = torch.randn(n, len(peptides.names), 3, generator=generator)
        return torch.as_tensor(peptides.xyz, dtype=torch.float32) + 0.4 * noise

    return build
