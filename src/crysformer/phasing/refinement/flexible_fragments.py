"""Fragments refined against the amplitudes, each atom on its own but tied to its neighbours.

A fragment from a library is some tenths of an angstrom off: its strands lie differently beside each
other and its torsions differ. Springs between atoms that share a bond or an angle keep its
geometry and leave torsions and the arrangement of its chains free: an elastic network (Tirion,
Phys. Rev. Lett. 77, 1905, 1996), as in the refinement of Schroeder, Levitt & Brunger (Nature 464,
1218, 2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.likelihood_target import LikelihoodTarget
from crysformer.settings import setting

_LONGEST_BOND = 1.9  # A
_BETAS, _EPS = (0.8, 0.95), 1e-6  # of Adam: short memory for short refinements
_FINAL_FRACTION = 0.1  # of the first step size, to which it falls in each stage


@dataclass(frozen=True)
class FlexibleSettings:
    """Flexible refinement of fragments in stages of decreasing expected error."""

    errors: tuple[float, ...] = setting(
        (0.7, 0.5, 0.3),
        "Expected error of the coordinates in each stage.",
        unit="A",
        min=0.05,
        max=3.0,
    )
    steps: int = setting(60, "Steps of Adam in each stage.", min=0, max=10_000)
    step_size: float = setting(
        0.03, "First step size of coordinates in each stage.", unit="A", min=1e-3, max=1.0
    )
    reach: float = setting(
        2.6, "Distance up to which atoms of one chain are tied.", unit="A", min=1.0, max=20.0
    )
    stiffness: float = setting(
        0.05,
        "Standard deviation of a tied distance to the distance.",
        min=1e-3,
        max=1.0,
    )


def refine_flexibly(
    target: LikelihoodTarget,
    xyz: Tensor,
    deadline: float = math.inf,
    *,
    settings: FlexibleSettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Maximise the log-likelihood gain less the energy of the springs.

    Parameters
    ----------
    target
        Amplitudes; its expected error is that of the last stage afterwards.
    xyz
        Cartesian coordinates of fragments of the same atoms in different places, shape (B, n, 3),
        A. The distances of each are what its springs keep.
    deadline
        `time.monotonic` after which no step begins.
    settings
        Stages, and stiffness of the springs.

    Returns
    -------
    (xyz, gain)
        Refined coordinates, shape (B, n, 3), A, and the log-likelihood gain, shape (B,), nats.
    """
    settings = settings or FlexibleSettings()
    first, second = tied_pairs(xyz, settings.reach)
    distance = (xyz[:, first] - xyz[:, second]).norm(dim=-1)
    strength = (distance < settings.reach) / (settings.stiffness * distance) ** 2
    parameter = xyz.clone()

    def gradients() -> tuple[Tensor, ...]:
        uphill = target.evaluate(parameter).gradient
        assert uphill is not None
        step = parameter[:, first] - parameter[:, second]
        length = step.norm(dim=-1)
        pull = (strength * (length - distance) / length)[..., None] * step
        return ((-uphill).index_add(1, first, pull).index_add(1, second, -pull),)

    for error in settings.errors:
        target.expect(error)
        minimise(
            (parameter,),
            gradients,
            (settings.step_size,),
            settings.steps,
            final_rates=(_FINAL_FRACTION * settings.step_size,),
            betas=_BETAS,
            eps=_EPS,
            deadline=deadline,
        )
    return parameter, target.evaluate(parameter, gradient=False).score


def tied_pairs(xyz: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Pairs of atoms (k,), (k,) of one chain that are no further apart than `reach` in any model.

    Parameters
    ----------
    xyz
        Coordinates, shape (B, n, 3), A; chains are what bonds of up to 1.9 A connect.
    reach
        Distance, A.
    """
    distance = torch.cdist(xyz, xyz).amin(dim=0)
    chain = torch.arange(len(distance), device=xyz.device)
    bonded = distance < _LONGEST_BOND
    while True:  # each atom takes the lowest number among its neighbours
        lowest = torch.where(bonded, chain, len(chain)).amin(1)
        if torch.equal(lowest, chain):
            break
        chain = lowest
    near = (distance < reach) & (chain[:, None] == chain)
    first, second = near.triu(1).nonzero(as_tuple=True)
    return first, second
