"""Restrained refinement against amplitudes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.restrained import refine_restrained

VALINE_ALANINE = 0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_refinement_recovers_a_distorted_model(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    kinematics = Kinematics(build_peptides((crystal.sequence,)))
    p = kinematics.peptides
    orth = np.array(crystal.data.cell.orth.mat.tolist())
    kept = [i for i, name in enumerate(p.names) if name != "OXT"]
    xyz = np.zeros((len(p.names), 3))
    xyz[kept] = crystal.frac @ orth.T
    # the fragment ends with a C that has no OXT: put it opposite of CA and O
    at = {name: xyz[i] for i, name in enumerate(p.names) if p.residue[i] == 1}
    xyz[p.names.index("OXT")] = 3 * at["C"] - at["CA"] - at["O"]
    start = torch.as_tensor(xyz, dtype=torch.float32)[None].repeat(2, 1, 1)
    start[1] += 0.15 * torch.randn(start[1].shape, generator=generator())
    start[0] += 0.6 * torch.randn(start[0].shape, generator=generator(1))
    polished = refine_restrained(crystal.data, kinematics, start, 20.0)
    assert polished.order.tolist() == [1, 0]  # the better start first
    assert polished.r[0] < 0.08
    compared = crystal.compare_phases(np.rad2deg(np.angle(polished.F[0])))
    assert compared.cosine2 > 0.97
    first, second = torch.tensor(p.bonds).T
    length = (polished.xyz[0][first] - polished.xyz[0][second]).norm(dim=1)
    ideal = np.linalg.norm(p.xyz[first] - p.xyz[second], axis=1)
    assert np.abs(length.numpy() - ideal).max() < 0.1
