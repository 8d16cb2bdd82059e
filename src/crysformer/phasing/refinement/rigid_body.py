"""Rigid-body refinement of fragments against the amplitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.peptide.rotations import rotation_of
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.settings import setting


@dataclass(frozen=True)
class RigidBodySettings:
    """Refinement of the orientations and positions of rigid fragments."""

    steps: int = setting(20, "Steps of Adam.", min=0, max=1000)
    rotation_step: float = setting(
        0.01, "Step size of orientations.", unit="rad", min=1e-4, max=1.0
    )
    translation_step: float = setting(0.05, "Step size of positions.", unit="A", min=1e-4, max=2.0)


def refine_rigid_bodies(
    target: AmplitudeTarget,
    xyz: Tensor,
    deadline: float = math.inf,
    *,
    settings: RigidBodySettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Maximise the correlation of measured and calculated amplitudes.

    Parameters
    ----------
    target
        Amplitudes, for k * n atoms.
    xyz
        Cartesian coordinates of k bodies of n atoms in each of B models, shape (B, k, n, 3), A.
    deadline
        `time.monotonic` after which no step begins.
    settings
        Number and size of the steps.

    Returns
    -------
    (xyz, correlation)
        Refined coordinates, shape (B, k, n, 3), A, and their correlations, shape (B,).
    """
    settings = settings or RigidBodySettings()
    centre = xyz.mean(dim=2, keepdim=True)
    body = xyz - centre
    rotation = xyz.new_zeros(*xyz.shape[:2], 3).requires_grad_()  # axis times angle
    shift = torch.zeros_like(rotation).requires_grad_()

    def moved() -> Tensor:
        matrix = rotation_of(rotation.flatten(0, 1)).view(*rotation.shape, 3)
        return body @ matrix.mT + centre + shift[:, :, None]

    def gradients() -> tuple[Tensor, ...]:
        atoms = moved().flatten(1, 2)
        gradient = target.evaluate(atoms.detach()).gradient
        assert gradient is not None
        # a scalar, because gradients given for tensors make torch import sympy
        return torch.autograd.grad(-(atoms * gradient).sum(), (rotation, shift))

    minimise(
        (rotation, shift),
        gradients,
        (settings.rotation_step, settings.translation_step),
        settings.steps,
        deadline=deadline,
    )
    with torch.no_grad():
        refined = moved()
        return refined, target.evaluate(refined.flatten(1, 2), gradient=False).correlation
