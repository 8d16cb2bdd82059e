"""Dynamic density modification: from poor phases to the basin of the right ones.

Density at E values is damped the more the lower it is: where positive, rho becomes
rho tanh(c (rho / sigma)^1.5), elsewhere zero. Measured |E| count by how well the map predicts them,
tanh(w |E| |E_c|), as in ACORN (Foadi et al., Acta Cryst. D56, 1137, 2000; Yao et al., Acta Cryst.
D61, 1465, 2005), whose c and w are 0.2 and 0.5. The weights hold back what is not known yet, so
that phases 65 degrees off still come down, to some 30 degrees; methods that impose every amplitude
go on from there.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.phasing.dual_space.projections import standard_deviation, to_half_grid, to_map
from crysformer.phasing.p1_grid import P1Grid
from crysformer.settings import setting

_SHELLS = 20  # of equal width in 1/d^2, in which calculated E are normalised
_LEAST_ITERATIONS = 2


@dataclass(frozen=True)
class DynamicSettings:
    """Dynamic density modification."""

    iterations: int = setting(100, "Iterations of each start.", min=1, max=100_000)
    steepness: float = setting(
        0.6,
        "Factor c of tanh(c (rho / sigma)^1.5), by which density is multiplied; the less, the "
        "more low density is damped.",
        min=0.01,
        max=10.0,
    )
    trust: float = setting(
        0.75,
        "Factor w of the weight tanh(w |E| |E_c|) of a measured amplitude.",
        min=0.01,
        max=100.0,
    )
    extrapolated: float = setting(
        0.3,
        "Weight of calculated E where nothing was measured within the resolution limits.",
        min=0.0,
        max=1.0,
    )


def modify_dynamically(
    grid: P1Grid,
    start: Tensor,
    deadline: float = math.inf,
    *,
    settings: DynamicSettings | None = None,
) -> Tensor:
    """Improve phases by dynamic density modification.

    Parameters
    ----------
    grid
        The crystal in P1.
    start
        Half grids (B, ...): measured amplitudes times figures of merit, with phases.
    deadline
        `time.monotonic` after which the iterations end early, but not before the first few.
    settings
        Number of iterations, and damping of the density.

    Returns
    -------
    Tensor
        Half grids (B, ...): measured amplitudes with the phases found, zero where not measured.
    """
    settings = settings or DynamicSettings()
    observed = grid.e
    d_star_sq = grid.d_star_sq / grid.d_star_sq[grid.measured].max()
    shell = (_SHELLS * d_star_sq).long().clamp(0, _SHELLS - 1).flatten()
    in_shell = torch.zeros(_SHELLS, device=grid.device)
    in_shell = in_shell.index_add(0, shell, grid.weight.flatten()).clamp_(min=1e-6)
    beyond = torch.where(grid.floating & (grid.d_star_sq > 0), settings.extrapolated, 0.0)
    # E in place of F
    F = start * torch.where(grid.measured, observed / grid.amplitude.clamp(min=1e-6), 0)
    for i in range(settings.iterations):
        if i >= _LEAST_ITERATIONS and time.monotonic() > deadline:
            break
        rho = to_map(grid, F)
        height = (rho / standard_deviation(rho).clamp_(min=1e-12)).clamp_(min=0)
        F = to_half_grid(height * torch.tanh(settings.steepness * height * height.sqrt()))
        modulus = F.abs().clamp_(min=1e-12)
        power = (modulus**2 * grid.weight).flatten(1)
        mean = power.new_zeros(len(F), _SHELLS).index_add(1, shell, power) / in_shell
        calculated = modulus * mean.clamp_(min=1e-12).rsqrt()[:, shell].view_as(modulus)
        weighted = torch.tanh(settings.trust * observed * calculated) * observed
        amplitude = torch.where(grid.measured, weighted, beyond * calculated)
        F = F * (amplitude / modulus)
    return grid.with_amplitudes(F)
