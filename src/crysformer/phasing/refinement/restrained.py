"""Cartesian refinement of a few models with restraints and a B for each atom."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.restraints import restraints_of
from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.bulk_solvent import STEP_CURVE, ResolutionScale

_OXYGEN = 8
_STEPS = 120
_STEP_XYZ, _STEP_LOG_B = 0.03, 0.06  # first step sizes, A and -
_LAST_STEP = 1e-3  # to which they fall
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements
_B_SPREAD, _B_BONDED = 0.5, 0.25  # expected spread of log B, and between bonded atoms
_B_RANGE = (1.0, 100.0)


@dataclass(frozen=True, eq=False)
class Polished:
    """Refined models, the likeliest first.

    Attributes
    ----------
    xyz
        Cartesian coordinates of one asymmetric unit, shape (B, n, 3), A.
    b_iso
        A^2, shape (B, n).
    F
        Structure factors of the data's reflections, complex, shape (B, n_data), on the scale of
        the data; NaN where not measured.
    r
        R factor, shape (B,).
    log_likelihood
        Natural logarithm, shape (B,), of data and restraints up to a constant.
    order
        Which of the models given each one was, shape (B,).
    parameters
        Of the scale that depends on resolution and direction.
    """

    xyz: Tensor
    b_iso: Tensor
    F: np.ndarray
    r: Tensor
    log_likelihood: Tensor
    order: Tensor
    parameters: int = 0


def polish(
    data: CrystalData,
    kinematics: Kinematics,
    xyz: Tensor,
    b_iso: float,
    deadline: float = math.inf,
) -> Polished:
    """Refine coordinates, shape (B, n, 3), and B against the amplitudes.

    Atoms beyond those of the chains are waters.
    Made small is n ln sum (|Fo| - k |Fc|)^2, the likelihood of Gaussian errors of one unknown
    size, plus chi-squared of distances and of log B (between bonded atoms, and around the mean).
    Where reflections are many the scale may depend on resolution and direction
    (`crysformer.phasing.refinement.bulk_solvent`).
    """
    device = kinematics.device
    restraints = restraints_of(kinematics)
    used = data.measured
    hkl = torch.as_tensor(data.hkl[used], device=device).to(torch.float32)
    observed = torch.as_tensor(data.f[used], dtype=torch.float32, device=device)
    orth = torch.as_tensor(data.orth, dtype=torch.float32, device=device)
    to_frac = torch.as_tensor(data.to_frac, dtype=torch.float32, device=device)
    ops = [
        (torch.as_tensor(rotation).float(), torch.as_tensor(translation).float())
        for rotation, translation in operators(data.space_group, centred=True)
    ]
    number = torch.as_tensor(kinematics.peptides.number, device=device)
    n_waters = xyz.shape[1] - len(number)
    number = torch.cat((number, torch.full((n_waters,), _OXYGEN, device=device)))
    n_ops = len(ops)
    scaling = ResolutionScale(data, device)

    def calculated(x: Tensor, log_b: Tensor, curve: Tensor) -> Tensor:
        frac = x @ to_frac.mT
        mates = torch.cat([frac @ r.to(x).mT + t.to(x) for r, t in ops], dim=1)
        batch = AtomBatch(
            frac=mates,
            number=number.repeat(len(x), n_ops),
            b_iso=log_b.exp().repeat(1, n_ops),
            occupancy=torch.ones_like(mates[..., 0]),
        )
        return scaling.factor(curve) * structure_factors(batch, orth, hkl, data.radiation)

    def cost(x: Tensor, log_b: Tensor, curve: Tensor) -> Tensor:
        amplitude = calculated(x, log_b, curve).abs()
        scale = amplitude_scale(observed, amplitude)
        misfit = ((observed - scale[:, None] * amplitude) ** 2).sum(1)
        b = restraints.bonds
        smooth = (((log_b[:, b[:, 0]] - log_b[:, b[:, 1]]) / _B_BONDED) ** 2).sum(1)
        spread = (((log_b - log_b.mean(1, keepdim=True)) / _B_SPREAD) ** 2).sum(1)
        odd = smooth + spread + scaling.oddness(curve)
        return len(observed) * misfit.log() + restraints.chi_squared(x) + odd

    x = xyz.clone().requires_grad_()
    log_b = torch.full(xyz.shape[:2], math.log(b_iso), device=device).requires_grad_()
    curve = scaling.start(len(x)).requires_grad_()
    parameters = (x, log_b, curve)
    minimise(
        parameters,
        lambda: torch.autograd.grad(cost(*parameters).sum(), parameters),
        (_STEP_XYZ, _STEP_LOG_B, STEP_CURVE),
        _STEPS,
        final_rates=(_LAST_STEP,) * 3,
        limits=(None, (math.log(_B_RANGE[0]), math.log(_B_RANGE[1])), None),
        betas=_BETAS,
        least=1,
        deadline=deadline,
    )
    with torch.no_grad():
        likelihood = -0.5 * cost(x, log_b, curve)
        order = likelihood.argsort(descending=True)
        F = calculated(x, log_b, curve)[order]
        amplitude = F.abs()
        scale = amplitude_scale(observed, amplitude)
        r = r_factor(observed, amplitude, scale=scale)
    full = np.full((len(x), len(data)), np.nan, dtype=np.complex128)
    full[:, used] = (scale[:, None] * F).cpu().numpy()
    return Polished(
        xyz=x.detach()[order],
        b_iso=log_b.detach().exp()[order],
        F=full,
        r=r,
        log_likelihood=likelihood[order],
        order=order,
        parameters=scaling.n_parameters,
    )
