"""Which orientations of a fragment the amplitudes favour."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.structure_factors import separable_sum
from crysformer.crystal.normalisation import normalized_e
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import p1_mapping
from crysformer.errors import NotApplicable
from crysformer.peptide.rotations import random_rotations, rotate
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.refinement.adam import minimise

_OVERSAMPLING = 2.5  # of the transform's intensity, against Nyquist's limit
_POINTS = 4_000_000  # interpolated at a time
_KEPT = (12, 3, 1)  # orientations after each stage, for each one returned
LEAST = 20
"""Reflections without which no fragment is placed."""
_STEPS, _RATE = 15, 0.03  # of a climb; radians
_SAME = 0.8  # A rms between atoms of orientations that count as one


class FragmentTransform:
    """The intensity of a fragment's Fourier transform, interpolated on a fine grid.

    Rotating a molecule rotates its transform, so one table serves every orientation, and looking
    up a reflection costs as much for a hundred atoms as for one. Atoms are points of weight Z, as
    normalised amplitudes suppose.

    Parameters
    ----------
    fragment
        The molecule.
    d_min
        Resolution limit, A.
    device
        Where to compute.
    """

    def __init__(
        self, fragment: Fragment, d_min: float, device: torch.device | str = "cpu"
    ) -> None:
        self.limit = 1.02 / d_min
        # |F|^2 is the transform of vectors up to twice the radius long
        step = 1 / (_OVERSAMPLING * 2 * 2 * fragment.radius)
        n = 2 * math.ceil(self.limit / step) + 1
        axis = torch.linspace(-self.limit, self.limit, n, device=device)
        xyz = torch.as_tensor(fragment.xyz, dtype=torch.float32, device=device)
        weight = torch.as_tensor(fragment.number, dtype=torch.float32, device=device)
        x, y, z = (torch.exp(2j * math.pi * xyz[None, :, i, None] * axis) for i in range(3))
        F = separable_sum(weight[:, None] * x, y, z).view(n, n, n)
        self.table = (F.abs() ** 2)[None, None]

    def intensity(self, s: Tensor) -> Tensor:
        """|F(s)|^2 at scattering vectors (..., 3), 1/A; differentiable."""
        # grid_sample wants the fastest axis first
        at = (s / self.limit).flip(-1).reshape(1, -1, 1, 1, 3)
        found = torch.nn.functional.grid_sample(self.table, at, align_corners=True)
        return found.reshape(s.shape[:-1])


class RotationFunction:
    """Correlation of E^2 with the intensity of a fragment in any orientation.

    In P1 amplitudes do not depend on where one molecule is; in other groups the cross terms
    between symmetry mates are left out, as in Crowther's rotation function (1972).

    Parameters
    ----------
    data
        The crystal, any space group.
    d_min
        Resolution limit, A.
    device
        Where to compute.

    Raises
    ------
    NotApplicable
        If there are too few reflections.
    """

    def __init__(self, data: CrystalData, d_min: float, device: torch.device | str = "cpu") -> None:
        e = normalized_e(data)
        used = data.measured & np.isfinite(e) & (data.d >= d_min)
        if used.sum() < LEAST:
            raise NotApplicable(
                f"{int(used.sum())} reflections to {d_min:g} A, too few to place a fragment"
            )
        mapping = p1_mapping(data.hkl[used], data.space_group)
        self.s = torch.as_tensor(mapping.hkl @ data.to_frac, dtype=torch.float32, device=device)
        e_sq = mapping.values(e[used]) ** 2
        e_sq = np.minimum(e_sq, 16.0)  # a few outliers must not decide
        self.observed = torch.as_tensor(e_sq - e_sq.mean(), dtype=torch.float32, device=device)
        self.observed /= torch.linalg.vector_norm(self.observed)

    def __call__(self, transform: FragmentTransform, rotation: Tensor) -> Tensor:
        """Correlation, shape (B,), of rotations (B, 3, 3); differentiable."""
        intensity = transform.intensity(self.s @ rotation)  # s.(R x) = (s R).x
        intensity = intensity - intensity.mean(dim=1, keepdim=True)
        norm = torch.linalg.vector_norm(intensity, dim=1)
        return (intensity @ self.observed) / norm.clamp(min=1e-12)

    def scan(
        self, transform: FragmentTransform, rotation: Tensor, deadline: float = math.inf
    ) -> Tensor:
        """The same without gradient, for any number of rotations; fewer, if `deadline` passes."""
        part = max(1, _POINTS // len(self.s))
        found: list[Tensor] = []
        with torch.no_grad():
            for some in rotation.split(part):
                if found and time.monotonic() > deadline:
                    break
                found.append(self(transform, some))
        return torch.cat(found)

    def climb(
        self, transform: FragmentTransform, rotation: Tensor, steps: int, rate: float
    ) -> tuple[Tensor, Tensor]:
        """Rotations turned towards the nearest maximum, and their correlations.

        Parameters
        ----------
        transform
            Of the fragment.
        rotation
            Shape (B, 3, 3).
        steps
            Of Adam.
        rate
            Largest turn a step, radians.
        """
        part = max(1, _POINTS // len(self.s))
        if len(rotation) > part:  # gradients of all at once may not fit into memory
            parts = [self.climb(transform, r, steps, rate) for r in rotation.split(part)]
            return torch.cat([r for r, _ in parts]), torch.cat([c for _, c in parts])
        turn = torch.zeros(len(rotation), 3, device=rotation.device, requires_grad=True)

        def gradients() -> tuple[Tensor, ...]:
            return torch.autograd.grad(-self(transform, rotate(rotation, turn)).sum(), turn)

        minimise((turn,), gradients, (rate,), steps)
        rotation = rotate(rotation, turn.detach())
        return rotation, self.scan(transform, rotation)


def best_rotations(
    data: CrystalData,
    fragment: Fragment,
    n: int,
    generator: torch.Generator,
    n_tried: int = 20_000,
    limits: tuple[float, ...] = (3.0, 2.2, 1.6),
    device: torch.device | str = "cpu",
    deadline: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Distinct orientations of a fragment, best first.

    Parameters
    ----------
    data
        The crystal.
    fragment
        What to turn.
    n
        How many orientations to return at most.
    generator
        Of the random orientations tried.
    n_tried
        How many of those.
    limits
        Resolution limits, A: of the scan, and of each climb after it.
    device
        Where to compute.
    deadline
        `time.monotonic` after which no more are tried, and no further climb is begun.

    Returns
    -------
    (rotation, correlation)
        Shapes (m, 3, 3) and (m,).
    """
    rotation = random_rotations(n_tried, generator).to(device)
    score = torch.zeros(n_tried)
    for stage, limit in enumerate(limits):
        if stage and time.monotonic() > deadline:
            return rotation[:n], score[:n]
        function = RotationFunction(data, max(limit, data.d_min), device)
        transform = FragmentTransform(fragment, max(limit, data.d_min), device)
        if stage == 0:
            score = function.scan(transform, rotation, deadline)
            rotation = rotation[: len(score)]
        else:
            rotation, score = function.climb(transform, rotation, _STEPS, _RATE / stage)
        kept = _KEPT[stage] * n
        best = score.argsort(descending=True)[: 2 * kept]
        best = best[_distinct(rotation[best], data, fragment, kept)]
        rotation, score = rotation[best], score[best]
    return rotation, score


def _distinct(rotation: Tensor, data: CrystalData, fragment: Fragment, n: int) -> list[int]:
    """The first `n` rows that differ from every earlier one, whatever the group's rotations."""
    mates = data.orth @ operators(data.space_group).rotations @ data.to_frac
    placed = np.einsum("bij,aj->bai", rotation.cpu().double().numpy(), fragment.xyz)
    kept: list[int] = []
    for i in range(len(placed)):
        if len(kept) == n:
            break
        turned = np.einsum("kij,aj->kai", mates, placed[i])
        if all(_rms(turned, placed[j]) > _SAME for j in kept):
            kept.append(i)
    return kept


def _rms(several: NDArray[np.float64], one: NDArray[np.float64]) -> float:
    """Smallest rms distance between one set of atoms and several, A."""
    return float(np.sqrt(((several - one) ** 2).sum(axis=2).mean(axis=1)).min())
