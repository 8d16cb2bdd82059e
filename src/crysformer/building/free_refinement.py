"""Refinement of a peptide model of the search without the free reflections.

The search compares poses with all reflections, of which small crystals have few. Its model is
shaken and refined again without the free ones before an R-free is given.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.building.r_factors import RFactors, k_fold_r_factors, r_factors
from crysformer.building.scaling import ScaledModel, scale_model
from crysformer.building.shaking import displacements
from crysformer.crystal.free_set import FreeSet, folds
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.refinement.restrained import RestrainedSettings, refine_restrained
from crysformer.settings import setting, table


@dataclass(frozen=True)
class FreeRefinementSettings:
    """Refinement of a model of the search without the free reflections."""

    shake: float = setting(
        0.3, "Root mean square displacement of the atoms before.", unit="A", min=0.0, max=2.0
    )
    attempts: int = setting(3, "Random displacements tried.", min=1, max=100)
    worse: float = setting(
        0.02, "R above that of the model without displacement that counts as recovered.",
        min=0.0, max=1.0,
    )  # fmt: skip
    folds: int = setting(10, "Parts of k-fold R-free, where free reflections are few.", min=2)
    restrained: RestrainedSettings = table(RestrainedSettings, "Steps of the refinement.")


@dataclass(frozen=True, eq=False)
class FreeRefinement:
    """A model that was refined without the free reflections.

    Attributes
    ----------
    model
        The model, B factors on an absolute scale.
    scaled
        Its structure and structure factors on the scale of the data.
    r
        R-work and R-free: of the free set, or k-fold where it is small.
    notes
        What was done, a sentence each.
    """

    model: PeptideModel
    scaled: ScaledModel
    r: RFactors
    notes: tuple[str, ...]


def refined_without_free(
    model: PeptideModel,
    data: CrystalData,
    free: FreeSet,
    *,
    seed: int = 0,
    deadline: float = math.inf,
    settings: FreeRefinementSettings | None = None,
) -> FreeRefinement | None:
    """Shake a peptide model and refine it against the working reflections.

    Parameters
    ----------
    model
        Found with all reflections.
    data
        The crystal, in the space group of the model.
    free
        Its free set. With fewer than 300 measured free reflections R-free is k-fold: other models
        are refined without one part of the data each.
    seed
        Of the displacements.
    deadline
        `time.monotonic` after which no further refinement begins; R-free is then that of the free
        set, whatever its size.
    settings
        Displacement and steps.

    Returns
    -------
    FreeRefinement, or None if no displaced model came back to the R of the model that was given.
    """
    settings = settings or FreeRefinementSettings()
    kinematics = Kinematics(model.peptides)
    reference = _refined(model, data, FreeSet.empty(len(data)), kinematics, None, settings)
    least = r_factors(data, FreeSet.empty(len(data)), reference[1].F_model).r_work
    found: tuple[PeptideModel, ScaledModel] | None = None
    for attempt in range(settings.attempts):
        if attempt and time.monotonic() > deadline:
            return None
        rng = np.random.default_rng([seed, attempt])
        trial = _refined(model, data, free, kinematics, rng, settings)
        if r_factors(data, free, trial[1].F_model).r_work <= least + settings.worse:
            found = trial
            break
    if found is None:
        return None
    note = (
        f"found with all reflections; shaken by {settings.shake:g} A and refined again without the "
        "free ones for R-free"
    )
    r = r_factors(data, free, found[1].F_model)
    notes = [note]
    if free.few(data):
        parts = folds(data, settings.folds, seed)
        amplitudes: list[NDArray[np.complex128]] = []
        for i, part in enumerate(parts):
            if time.monotonic() > deadline:
                break
            rng = np.random.default_rng([seed, settings.attempts + i])
            amplitudes.append(_refined(model, data, part, kinematics, rng, settings)[1].F_model)
        if len(amplitudes) == len(parts):
            r = k_fold_r_factors(data, parts, amplitudes)
            notes.append(
                f"R-free is {len(parts)}-fold: {free.n_free(data)} free reflections are too few "
                "for one number"
            )
    return FreeRefinement(*found, r, tuple(notes))


def _refined(
    model: PeptideModel,
    data: CrystalData,
    free: FreeSet,
    kinematics: Kinematics,
    rng: np.random.Generator | None,
    settings: FreeRefinementSettings,
) -> tuple[PeptideModel, ScaledModel]:
    """The model, displaced if there is `rng`, refined without the free reflections and scaled."""
    n = len(model.xyz)
    xyz = np.concatenate((model.xyz, model.waters))
    if rng is not None:
        xyz = xyz + displacements(len(xyz), settings.shake, rng)
    work = replace(data, f=np.where(free.free, np.nan, data.f))
    b_start = float(np.concatenate((model.b_iso, model.waters_b)).mean())
    refined = refine_restrained(
        work,
        kinematics,
        torch.as_tensor(xyz[None], dtype=torch.float32),
        b_start,
        settings=settings.restrained,
    )
    moved, b_iso = (x[0].double().numpy() for x in (refined.xyz, refined.b_iso))
    changed = replace(model, xyz=moved[:n], b_iso=b_iso[:n], waters=moved[n:], waters_b=b_iso[n:])
    scaled = scale_model(changed.to_structure(), data, free)
    return _with_b(changed, scaled), scaled


def _with_b(model: PeptideModel, scaled: ScaledModel) -> PeptideModel:
    """The model with the B factors and structure factors of the scaled one."""
    shift = scaled.b_shift
    F = np.where(np.isfinite(model.F), scaled.F_model, np.nan)
    return replace(model, b_iso=model.b_iso + shift, waters_b=model.waters_b + shift, F=F)
