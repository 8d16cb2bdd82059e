"""Restrained refinement of coordinates and individual B factors of a few models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.crystal.normalisation import least_b
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.cis_bonds import cis_bonds, cis_probability, geometry_with_cis
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.restraints import Restraints, restraints_of
from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.bulk_solvent import ResolutionScale
from crysformer.settings import setting

_OXYGEN = 8
_FINAL_STEP = 1e-3  # step size of every parameter at the end
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements
# Standard deviations of log B: around the mean of a model, and between bonded atoms.
_LOG_B_SIGMA, _LOG_B_SIGMA_BONDED = 0.5, 0.25
_B_RANGE = (1.0, 100.0)  # A^2; the least is lower where colder crystals are usual


@dataclass(frozen=True)
class RestrainedSettings:
    """Restrained refinement of coordinates, B factors and scale factors."""

    steps: int = setting(120, "Steps of Adam.", min=1, max=10_000)
    position_step: float = setting(
        0.03, "First step size of coordinates.", unit="A", min=1e-3, max=1.0
    )
    log_b_step: float = setting(0.06, "First step size of log B.", min=1e-3, max=1.0)
    scale_step: float = setting(
        0.15, "First step size of bulk-solvent and anisotropy parameters.", min=1e-3, max=1.0
    )


@dataclass(frozen=True, eq=False)
class RefinedModels:
    """Refined models, most likely first.

    Attributes
    ----------
    xyz
        Cartesian coordinates of one asymmetric unit, shape (B, n, 3), A.
    b_iso
        B of every atom, A^2, shape (B, n).
    F
        Structure factors of the data's reflections, complex, shape (B, n_data), on the scale of
        the data; NaN where not measured.
    r
        R factor, shape (B,).
    log_likelihood
        Log likelihood of data and restraints, natural logarithm up to a constant, shape (B,).
    order
        Row of each model among those that were given, shape (B,).
    parameters
        Number of bulk-solvent and anisotropy parameters of one model.
    steps
        Steps taken, fewer than were to be if the deadline came before.
    """

    xyz: Tensor
    b_iso: Tensor
    F: np.ndarray
    r: Tensor
    log_likelihood: Tensor
    order: Tensor
    parameters: int = 0
    steps: int = 0


def refine_restrained(
    data: CrystalData,
    kinematics: Kinematics,
    xyz: Tensor,
    b_iso: float,
    deadline: float = math.inf,
    *,
    settings: RestrainedSettings | None = None,
) -> RefinedModels:
    """Refine models of whole chains, and their B factors, as `refine_atoms` does.

    Peptide bonds before proline and N-methylated residues stay cis or trans, whichever is nearer;
    all others become trans.

    Parameters
    ----------
    data
        The crystal in its own space group.
    kinematics
        The chains.
    xyz
        Cartesian coordinates of one asymmetric unit, shape (B, n, 3), A; atoms beyond those of the
        chains are waters.
    b_iso
        B of every atom at the start, A^2.
    deadline
        `time.monotonic` after which no second step begins.
    settings
        Number and size of the steps.
    """
    number = torch.as_tensor(kinematics.peptides.number, device=kinematics.device)
    n_waters = xyz.shape[1] - len(number)
    waters = torch.full((n_waters,), _OXYGEN, device=kinematics.device)
    start_b = torch.full(xyz.shape[:2], b_iso, device=kinematics.device)
    number = torch.cat((number, waters))
    may = torch.tensor(cis_probability(kinematics.peptides)) > 0
    cis = cis_bonds(kinematics.peptides, xyz.cpu()) & may
    patterns, group = cis.unique(dim=0, return_inverse=True)
    parts, rows = [], []
    for g, pattern in enumerate(patterns):
        own = (group == g).nonzero()[:, 0].to(xyz.device)
        restraints = restraints_of(kinematics, geometry_with_cis(kinematics, pattern))
        parts.append(
            refine_atoms(
                data, restraints, number, xyz[own], start_b[own], deadline, settings=settings
            )
        )
        rows.append(own[parts[-1].order])
    return parts[0] if len(parts) == 1 else _together(parts, torch.cat(rows))


def _together(parts: Sequence[RefinedModels], rows: Tensor) -> RefinedModels:
    """Models refined in several batches, best first; `rows` (B,) are those before refinement."""
    likelihood = torch.cat([part.log_likelihood for part in parts])
    best = likelihood.argsort(descending=True)
    return RefinedModels(
        xyz=torch.cat([part.xyz for part in parts])[best],
        b_iso=torch.cat([part.b_iso for part in parts])[best],
        F=np.concatenate([part.F for part in parts])[best.cpu().numpy()],
        r=torch.cat([part.r for part in parts])[best],
        log_likelihood=likelihood[best],
        order=rows[best],
        parameters=parts[0].parameters,
        steps=min(part.steps for part in parts),
    )


def refine_atoms(
    data: CrystalData,
    restraints: Restraints,
    number: Tensor,
    xyz: Tensor,
    b_iso: Tensor,
    deadline: float = math.inf,
    *,
    settings: RestrainedSettings | None = None,
) -> RefinedModels:
    """Refine models and their B factors against the amplitudes.

    Minimises n ln sum (|Fo| - k |Fc|)^2, the likelihood of Gaussian errors of one unknown size,
    plus chi-squared of distances and of log B (between bonded atoms, and around the mean). With
    enough reflections the scale may depend on resolution and direction
    (`crysformer.phasing.refinement.bulk_solvent`).

    Parameters
    ----------
    data
        The crystal in its own space group.
    restraints
        Geometry of the atoms.
    number
        Atomic numbers, shape (n,).
    xyz
        Cartesian coordinates of one asymmetric unit, shape (B, n, 3), A.
    b_iso
        B of the atoms at the start, shape (B, n), A^2.
    deadline
        `time.monotonic` after which no second step begins.
    settings
        Number and size of the steps.
    """
    settings = settings or RestrainedSettings()
    device = xyz.device
    used = data.measured
    hkl = torch.as_tensor(data.hkl[used], device=device).to(torch.float32)
    observed = torch.as_tensor(data.f[used], dtype=torch.float32, device=device)
    orth = torch.as_tensor(data.orth, dtype=torch.float32, device=device)
    to_frac = torch.as_tensor(data.to_frac, dtype=torch.float32, device=device)
    ops = [
        (torch.as_tensor(rotation).float(), torch.as_tensor(translation).float())
        for rotation, translation in operators(data.space_group, centred=True)
    ]
    n_ops = len(ops)
    scaling = ResolutionScale(data, device)
    b_floor = min(_B_RANGE[0], least_b(data.d_min))

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
        smooth = (((log_b[:, b[:, 0]] - log_b[:, b[:, 1]]) / _LOG_B_SIGMA_BONDED) ** 2).sum(1)
        spread = (((log_b - log_b.mean(1, keepdim=True)) / _LOG_B_SIGMA) ** 2).sum(1)
        priors = smooth + spread + scaling.penalty(curve)
        return len(observed) * misfit.log() + restraints.chi_squared(x) + priors

    x = xyz.clone().requires_grad_()
    log_b = b_iso.log().requires_grad_()
    curve = scaling.start(len(x)).requires_grad_()
    parameters = (x, log_b, curve)
    steps = minimise(
        parameters,
        lambda: torch.autograd.grad(cost(*parameters).sum(), parameters),
        (settings.position_step, settings.log_b_step, settings.scale_step),
        settings.steps,
        final_rates=(_FINAL_STEP,) * 3,
        limits=(None, (math.log(b_floor), math.log(_B_RANGE[1])), None),
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
    return RefinedModels(
        xyz=x.detach()[order],
        b_iso=log_b.detach().exp()[order],
        F=full,
        r=r,
        log_likelihood=likelihood[order],
        order=order,
        parameters=scaling.n_parameters,
        steps=steps,
    )
