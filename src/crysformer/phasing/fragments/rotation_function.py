"""Rotation function: orientations of a fragment that agree with the amplitudes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

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
from crysformer.settings import setting
from crysformer.wording import counted

MIN_REFLECTIONS = 20
"""Measured reflections needed to place a fragment."""
_OVERSAMPLING = 2.5  # of the intensity of the transform, relative to the Nyquist limit
_POINTS_AT_ONCE = 4_000_000  # interpolated values held in memory
_MAX_E_SQ = 16.0  # larger E^2 are cut: a few outliers must not decide


@dataclass(frozen=True)
class RotationSettings:
    """Search for the orientations of a fragment, in stages of increasing resolution."""

    orientations: int = setting(
        20_000, "Random orientations of the first stage.", min=1, max=10_000_000
    )
    limits: tuple[float, ...] = setting(
        (3.0, 2.2, 1.6), "Resolution limit of each stage.", unit="A", min=0.8, max=6.0
    )
    kept: tuple[int, ...] = setting(
        (12, 3, 1), "Orientations kept after each stage, for each one returned.", min=1, max=1000
    )
    steps: int = setting(15, "Steps of refinement in later stages.", min=0, max=1000)
    step_size: float = setting(
        0.03,
        "Step size of that in the second stage; one half and one third of it in the next.",
        unit="rad",
        min=1e-4,
        max=1.0,
    )
    min_difference: float = setting(
        0.8,
        "Rms distance between the atoms of two orientations below which they count as one.",
        unit="A",
        min=0.0,
        max=10.0,
    )

    def __post_init__(self) -> None:
        if not self.limits or len(self.limits) != len(self.kept):
            raise ValueError(
                f"{len(self.limits)} resolution limits and {len(self.kept)} numbers of "
                "orientations kept, expected one of each for every stage of the rotation function"
            )


class FragmentTransform:
    """Intensity of the Fourier transform of a fragment, interpolated on a fine grid.

    Rotating a molecule rotates its transform, so that one table serves every orientation and a
    reflection costs the same for a hundred atoms as for one. Atoms are points of weight Z, as
    normalised amplitudes assume.

    Parameters
    ----------
    fragment
        The molecule.
    d_min
        Resolution limit, A.
    device
        Compute device.
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
        # grid_sample expects the fastest axis first
        at = (s / self.limit).flip(-1).reshape(1, -1, 1, 1, 3)
        found = torch.nn.functional.grid_sample(self.table, at, align_corners=True)
        return found.reshape(s.shape[:-1])


class RotationFunction:
    """Correlation of E^2 with the intensity of a fragment in any orientation.

    In P1 amplitudes do not depend on the position of a single molecule; in other groups the cross
    terms between symmetry mates are left out, as in Crowther's rotation function (1972).

    Parameters
    ----------
    data
        The crystal, any space group.
    d_min
        Resolution limit, A.
    device
        Compute device.

    Raises
    ------
    NotApplicable
        If there are too few reflections.
    """

    def __init__(self, data: CrystalData, d_min: float, device: torch.device | str = "cpu") -> None:
        e = normalized_e(data)
        used = data.measured & np.isfinite(e) & (data.d >= d_min)
        if used.sum() < MIN_REFLECTIONS:
            raise NotApplicable(
                f"{counted(int(used.sum()), 'reflection')} to {d_min:g} A, too few to place a "
                "fragment"
            )
        mapping = p1_mapping(data.hkl[used], data.space_group)
        self.s = torch.as_tensor(mapping.hkl @ data.to_frac, dtype=torch.float32, device=device)
        e_sq = mapping.values(e[used]) ** 2
        e_sq = np.minimum(e_sq, _MAX_E_SQ)
        self.observed = torch.as_tensor(e_sq - e_sq.mean(), dtype=torch.float32, device=device)
        self.observed /= torch.linalg.vector_norm(self.observed)

    def __call__(self, transform: FragmentTransform, rotation: Tensor) -> Tensor:
        """Correlation, shape (B,), for rotations (B, 3, 3); differentiable."""
        intensity = transform.intensity(self.s @ rotation)  # s.(R x) = (s R).x
        intensity = intensity - intensity.mean(dim=1, keepdim=True)
        norm = torch.linalg.vector_norm(intensity, dim=1)
        return (intensity @ self.observed) / norm.clamp(min=1e-12)

    def scan(
        self, transform: FragmentTransform, rotation: Tensor, deadline: float = math.inf
    ) -> Tensor:
        """Correlations without gradient, for any number of rotations (B, 3, 3).

        Fewer than B are returned if `deadline` (`time.monotonic`) passes.
        """
        part = max(1, _POINTS_AT_ONCE // len(self.s))
        found: list[Tensor] = []
        with torch.no_grad():
            for some in rotation.split(part):
                if found and time.monotonic() > deadline:
                    break
                found.append(self(transform, some))
        return torch.cat(found)

    def refine_orientation(
        self, transform: FragmentTransform, rotation: Tensor, steps: int, step_size: float
    ) -> tuple[Tensor, Tensor]:
        """Maximise the correlation of each orientation.

        Parameters
        ----------
        transform
            Transform of the fragment.
        rotation
            Orientations to start from, shape (B, 3, 3).
        steps
            Steps of Adam.
        step_size
            Step size, radians.

        Returns
        -------
        (rotation, correlation)
            Shapes (B, 3, 3) and (B,).
        """
        part = max(1, _POINTS_AT_ONCE // len(self.s))
        if len(rotation) > part:  # gradients of all at once may not fit into memory
            parts = [
                self.refine_orientation(transform, r, steps, step_size)
                for r in rotation.split(part)
            ]
            return torch.cat([r for r, _ in parts]), torch.cat([c for _, c in parts])
        # axis times angle, from the starting orientation
        change = torch.zeros(len(rotation), 3, device=rotation.device, requires_grad=True)

        def gradients() -> tuple[Tensor, ...]:
            return torch.autograd.grad(-self(transform, rotate(rotation, change)).sum(), change)

        minimise((change,), gradients, (step_size,), steps)
        rotation = rotate(rotation, change.detach())
        return rotation, self.scan(transform, rotation)


def best_rotations(
    data: CrystalData,
    fragment: Fragment,
    n: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    deadline: float = math.inf,
    *,
    settings: RotationSettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Distinct orientations of a fragment, best first.

    Parameters
    ----------
    data
        The crystal.
    fragment
        The fragment to orient.
    n
        Number of orientations to return at most.
    generator
        Source of the random orientations.
    device
        Compute device.
    deadline
        `time.monotonic` after which no more are tried, and no further stage begins.
    settings
        Number of orientations and stages of the search.

    Returns
    -------
    (rotation, correlation)
        Shapes (m, 3, 3) and (m,).
    """
    settings = settings or RotationSettings()
    rotation = random_rotations(settings.orientations, generator).to(device)
    score = torch.zeros(len(rotation))
    for stage, (limit, n_kept) in enumerate(zip(settings.limits, settings.kept, strict=True)):
        if stage and time.monotonic() > deadline:
            return rotation[:n], score[:n]
        function = RotationFunction(data, max(limit, data.d_min), device)
        transform = FragmentTransform(fragment, max(limit, data.d_min), device)
        if stage == 0:
            score = function.scan(transform, rotation, deadline)
            rotation = rotation[: len(score)]
        else:
            step_size = settings.step_size / stage
            rotation, score = function.refine_orientation(
                transform, rotation, settings.steps, step_size
            )
        kept = n_kept * n
        best = score.argsort(descending=True)[: 2 * kept]
        best = best[_distinct(rotation[best], data, fragment, kept, settings.min_difference)]
        rotation, score = rotation[best], score[best]
    return rotation, score


def _distinct(
    rotation: Tensor, data: CrystalData, fragment: Fragment, n: int, min_difference: float
) -> list[int]:
    """First `n` rows that differ from every earlier one and its symmetry mates.

    `min_difference` is the rms distance between atoms, A.
    """
    mates = data.orth @ operators(data.space_group).rotations @ data.to_frac
    placed = np.einsum("bij,aj->bai", rotation.cpu().double().numpy(), fragment.xyz)
    kept: list[int] = []
    for i in range(len(placed)):
        if len(kept) == n:
            break
        rotated = np.einsum("kij,aj->kai", mates, placed[i])
        if all(_rms(rotated, placed[j]) > min_difference for j in kept):
            kept.append(i)
    return kept


def _rms(several: NDArray[np.float64], one: NDArray[np.float64]) -> float:
    """Smallest rms distance between one set of atoms and several, A."""
    return float(np.sqrt(((several - one) ** 2).sum(axis=2).mean(axis=1)).min())
