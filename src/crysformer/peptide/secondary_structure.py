"""Ideal fragments of secondary structure, poly-alanine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose

#: phi and psi, degrees, of the regular conformations.
CONFORMATIONS = {"helix": (-63.0, -42.0), "strand": (-120.0, 130.0)}


@dataclass(frozen=True, eq=False)
class Fragment:
    """A rigid fragment of a protein.

    Attributes
    ----------
    kind
        A key of `CONFORMATIONS`.
    n_residues
        Number of residues.
    number
        Atomic numbers, shape (n,).
    xyz
        Coordinates about their centroid, shape (n, 3), A.
    """

    kind: str
    n_residues: int
    number: NDArray[np.int64]
    xyz: NDArray[np.float64]

    @property
    def name(self) -> str:
        """Name such as ``"helix of 12"``."""
        return f"{self.kind} of {self.n_residues}"

    @property
    def radius(self) -> float:
        """Distance of the outermost atom from the centroid, A."""
        return float(np.linalg.norm(self.xyz, axis=1).max())


def ideal_fragment(kind: str, n_residues: int) -> Fragment:
    """A regular poly-alanine in standard geometry.

    Parameters
    ----------
    kind
        A key of `CONFORMATIONS`.
    n_residues
        At least 2.
    """
    peptide = build_peptides(["A" * n_residues])
    kinematics = Kinematics(peptide)
    phi, psi = (math.radians(angle) for angle in CONFORMATIONS[kind])
    angle = {"phi": phi, "psi": psi, "omega": math.pi}
    torsions = torch.tensor([[angle[t.kind] for t in peptide.torsions]])
    pose = Pose(torsions, torch.eye(3).expand(1, 1, 3, 3), torch.zeros(1, 1, 3))
    xyz = kinematics.coordinates(pose)[0][0].double().numpy()
    kept = np.array([name != "OXT" for name in peptide.names])
    xyz = xyz[kept]
    return Fragment(kind, n_residues, peptide.number[kept], xyz - xyz.mean(axis=0))
