"""Refinement of a peptide model of the search without the free reflections.

The search compares poses with all reflections, of which small crystals have few. Its model is
shaken and refined again without the free ones before an R-free is given.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

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
        0.03, "R above that of the model before its displacement that counts as recovered.",
        min=0.0, max=1.0,
    )  # fmt: skip
    folds: int = setting(10, "Parts of k-fold R-free, where free reflections are few.", min=2)
    time_limit: float = setting(
        5.0, "Time after which no further refinement begins, of k-fold R-free for example.",
        unit="s", min=0.0,
    )  # fmt: skip
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
    free
        The free set.
    r
        R-work and R-free.
    k_fold
        The same pooled over refinements without one part of the data each, where free reflections
        are few and the time was enough.
    seconds
        Wall-clock time.
    notes
        What was done, a sentence each.
    """

    model: PeptideModel
    scaled: ScaledModel
    free: FreeSet
    r: RFactors
    k_fold: RFactors | None
    seconds: float
    notes: tuple[str, ...]

    def to_summary(self) -> dict[str, Any]:
        """The entry ``refinement`` of summary.json: plain numbers, strings and lists."""
        return {
            **self.r.to_summary(),
            "r_free_k_fold": None if self.k_fold is None else self.k_fold.to_fold_summary(),
            "free_set": self.free.note,
            "program": "crysformer",
            "n_chains": len(self.model.peptides.chains),
            "n_residues": len(self.model.peptides.codes),
            "n_atoms": len(self.model.b_iso) + len(self.model.waters_b),
            "n_waters": len(self.model.waters_b),
            **self.scaled.to_summary(),
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
        }


def refined_without_free(
    model: PeptideModel,
    data: CrystalData,
    free: FreeSet,
    *,
    seed: int = 0,
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
    settings
        Displacement, steps and time.

    Returns
    -------
    FreeRefinement, or None if no displaced model came back to the R of the model that was given.
    """
    settings = settings or FreeRefinementSettings()
    begun = time.monotonic()
    deadline = begun + settings.time_limit
    kinematics = Kinematics(model.peptides)
    everything = FreeSet.empty(len(data))
    given = scale_model(model.to_structure(), data, everything)
    least = r_factors(data, everything, given.F_model).r_work
    found: tuple[PeptideModel, ScaledModel] | None = None
    for attempt in range(settings.attempts):
        if attempt and time.monotonic() > deadline:
            break
        rng = np.random.default_rng([seed, attempt])
        trial = _refined(model, data, free, kinematics, rng, settings)
        if r_factors(data, free, trial[1].F_model).r_work <= least + settings.worse:
            found = trial
            break
    if found is None:
        return None
    r = r_factors(data, free, found[1].F_model)
    notes = [
        f"model: {r.text()}; it was found with all reflections, then displaced by "
        f"{settings.shake:g} A (rms) and refined without the free ones"
    ]
    k_fold = None
    if free.few(data):
        k_fold = _k_fold(model, data, kinematics, seed, deadline, settings)
        few = f"{free.n_free(data)} free reflections are few for one R-free"
        notes.append(
            f"{few}; the {settings.folds}-fold one does not fit into {settings.time_limit:g} s"
            if k_fold is None
            else f"{few}: the {settings.folds}-fold one is {k_fold.r_free:.3f}"
        )
    return FreeRefinement(*found, free, r, k_fold, time.monotonic() - begun, tuple(notes))


def _k_fold(
    model: PeptideModel,
    data: CrystalData,
    kinematics: Kinematics,
    seed: int,
    deadline: float,
    settings: FreeRefinementSettings,
) -> RFactors | None:
    """R factors pooled over refinements without one part of the data each; None without time."""
    parts = folds(data, settings.folds, seed)
    found: list[NDArray[np.complex128]] = []
    for i, part in enumerate(parts):
        if time.monotonic() > deadline:
            return None
        rng = np.random.default_rng([seed, settings.attempts + i])
        found.append(_refined(model, data, part, kinematics, rng, settings)[1].F_model)
    return k_fold_r_factors(data, parts, found)


def _refined(
    model: PeptideModel,
    data: CrystalData,
    free: FreeSet,
    kinematics: Kinematics,
    rng: np.random.Generator,
    settings: FreeRefinementSettings,
) -> tuple[PeptideModel, ScaledModel]:
    """The model displaced, refined without the free reflections, and scaled."""
    n = len(model.xyz)
    xyz = np.concatenate((model.xyz, model.waters))
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
    return with_absolute_b(changed, scaled), scaled


def with_absolute_b(model: PeptideModel, scaled: ScaledModel) -> PeptideModel:
    """The model with the B factors and structure factors of its scaled structure.

    Parameters
    ----------
    model
        A model of the search, whose B factors are relative to the scale that was fitted there.
    scaled
        What `scale_model` made of ``model.to_structure()``.
    """
    place = {tuple(cra.atom.pos.tolist()): cra.atom.b_iso for cra in scaled.structure[0].all()}
    b_iso, waters_b = (
        np.array([place[tuple(x)] for x in xyz.tolist()]) for xyz in (model.xyz, model.waters)
    )
    F = np.where(np.isfinite(model.F), scaled.F_model, np.nan)
    return replace(model, b_iso=b_iso, waters_b=waters_b, F=F)
