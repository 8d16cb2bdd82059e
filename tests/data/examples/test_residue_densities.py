"""Residue templates: geometry, electrons, and the authors' templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates

#: What the authors divided their templates by, e/A^3: one constant fits all twenty.
AUTHORS_SCALE = 4.914


def test_conformers_have_standard_geometry() -> None:
    for name, xyz in template_coordinates().items():
        atoms = residues.ATOMS[residues.INDEX[name]]
        assert len(xyz) == len(atoms)
        at = dict(zip(atoms, xyz, strict=True))
        assert np.linalg.norm(at["CA"] - at["N"]) == pytest.approx(1.46, abs=0.05)
        assert np.linalg.norm(at["C"] - at["CA"]) == pytest.approx(1.525, abs=0.05)
        assert np.linalg.norm(at["O"] - at["C"]) == pytest.approx(1.23, abs=0.05)
        if "CB" in at:
            volume = np.linalg.det([at["N"] - at["CA"], at["C"] - at["CA"], at["CB"] - at["CA"]])
            assert volume == pytest.approx(2.5, abs=0.4)  # an L-amino acid, A^3
        closest = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) + 9 * np.eye(len(xyz))
        assert 1.1 < closest.min() < 1.5


def test_each_template_holds_its_electrons() -> None:
    templates = residue_templates(dtype=torch.float64)
    assert templates.shape == (20, 24, 24, 24)
    # F(000) is absent from the 30 A cell, so the box holds its fraction less.
    fraction = 1 - (12 / 30) ** 3
    for template, code in zip(templates, range(20), strict=True):
        electrons = residues.NUMBERS[code].sum() - 8  # without the carbonyl O
        assert float(template.sum()) * 0.125 == pytest.approx(fraction * electrons, rel=0.01)


def test_templates_are_centred() -> None:
    grid = torch.stack(torch.meshgrid(*[torch.arange(24.0)] * 3, indexing="ij"), dim=-1)
    for template in residue_templates():
        weight = template.clamp_min(0.1) - 0.1
        centre = (grid * weight[..., None]).sum(dim=(0, 1, 2)) / weight.sum()
        assert (centre - 12).abs().max() < 0.7  # electrons, unlike mass, make S heavier still
        assert float(template[0].abs().max()) < 0.1


def test_authors_templates(shared_dir: Path) -> None:
    authors = np.load(shared_dir / "reference" / "residue_templates_24x24x24.npz")
    for name, ours in zip(residues.NAMES, residue_templates().double().numpy(), strict=True):
        theirs = authors[name].astype(np.float64) * AUTHORS_SCALE
        assert theirs.sum() == pytest.approx(ours.sum(), rel=0.01), name
        assert theirs.std() == pytest.approx(ours.std(), rel=0.025), name
        assert theirs.max() == pytest.approx(ours.max(), rel=0.08), name
        a, b = (np.sqrt(radial_power(t)) for t in (ours, theirs))
        assert np.corrcoef(a, b)[0, 1] > 0.999, name


def radial_power(density: np.ndarray) -> np.ndarray:
    """Mean |F|^2 in shells of |h|: what does not depend on orientation and place."""
    h = np.fft.fftfreq(24, 1 / 24)
    radius = np.sqrt(h[:, None, None] ** 2 + h[:, None] ** 2 + h**2).round().astype(int)
    power = np.abs(np.fft.fftn(density)) ** 2
    counts = np.bincount(radius.ravel())
    return (np.bincount(radius.ravel(), power.ravel()) / counts)[:8]
