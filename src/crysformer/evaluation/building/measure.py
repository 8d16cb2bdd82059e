"""Models of one map by this package: traced, refined, and compared with the truth."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.build import build
from crysformer.building.model_atoms import polymer_chains, residue_letter
from crysformer.building.r_factors import RFactors, r_factors
from crysformer.building.refinement.refiner import RefinementFailed
from crysformer.building.scaling import scale_model
from crysformer.building.start import Start
from crysformer.building.tracing.density_improvement import modified_phases
from crysformer.building.tracing.from_amplitudes import better_trace, trace_each_map
from crysformer.building.tracing.settings import TracingSettings
from crysformer.building.tracing.traced_model import TracedModel
from crysformer.crystal.free_set import FreeSet
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.building.amplitudes import amplitude_correlations, poly_alanine_trace
from crysformer.evaluation.building.deviations import deviations
from crysformer.evaluation.building.result import FIXED, MODIFIED, PLAIN, ModelFigures
from crysformer.peptide.sequence_file import sequences_of

_FAR = 999.0  # A, in place of an infinite deviation, which JSON has no number for


def build_models(
    crystal: SyntheticCrystal, phi: NDArray[np.float64], time_limit: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the models of `result.MODELS` from phases, and trace alanines.

    Without density modification the map is traced as it is. With it, the modified map is traced as
    well, unless the first model fits already, and the better model by its correlation of |E| is
    taken: that is what ``crysformer build`` does with a map. Both are then refined as it refines.

    Parameters
    ----------
    crystal
        Crystal with its truth, which is used for the figures only.
    phi
        Phases of the map, degrees, shape (n,), NaN where there is none.
    time_limit
        Seconds for tracing, for alanines, and for each refinement.
    seed
        Of random numbers.

    Returns
    -------
    (models, alanines)
        The entries `BuildingResult.models` and `BuildingResult.poly_alanine`.
    """
    data, sequences = crystal.data, sequences_of(crystal.sequence)
    F = np.asarray(data.f * np.exp(1j * np.radians(phi)), dtype=np.complex128)
    models: dict[str, Any] = {}
    traced = trace_each_map(
        data, F, sequences, time.monotonic() + time_limit, seed, either_hand=True
    )
    plain = next((model for model in traced if not model.modified), None)
    if plain is not None:
        models[FIXED] = asdict(_traced_figures(crystal, plain))
        models[PLAIN] = _refined_figures(crystal, plain, time_limit, seed)
    if traced:
        best = better_trace(traced)
        models[MODIFIED] = (
            models[PLAIN] if best is plain else _refined_figures(crystal, best, time_limit, seed)
        )
    iterations = TracingSettings().modification
    modified = modified_phases(data, F, sequences, iterations, seed)
    alanines = poly_alanine_trace(data, modified, sequences, time.monotonic() + time_limit, seed)
    kept = {name: figures for name, figures in models.items() if figures is not None}
    return kept, {} if alanines is None else asdict(alanines)


def _traced_figures(crystal: SyntheticCrystal, traced: TracedModel) -> ModelFigures:
    data = crystal.data
    scaled = scale_model(traced.structure, data)
    r = r_factors(data, FreeSet.empty(len(data)), scaled.F_model)
    return _figures(crystal, traced, traced.structure, r, np.abs(scaled.F_model))


def _refined_figures(
    crystal: SyntheticCrystal, traced: TracedModel, time_limit: float, seed: int
) -> dict[str, Any] | None:
    """Figures after refinement; None if it failed."""
    start = Start(structure=traced.structure)
    try:
        built = build(
            crystal.data,
            crystal.sequence,
            start,
            time_limit=time_limit,
            k_fold_limit=0.0,
            seed=seed,
        )
    except RefinementFailed:
        return None
    amplitudes = np.abs(built.scaled.F_model)
    return asdict(_figures(crystal, traced, built.structure, built.r, amplitudes))


def _figures(
    crystal: SyntheticCrystal,
    traced: TracedModel,
    structure: gemmi.Structure,
    r: RFactors,
    amplitudes: NDArray[np.float64],
) -> ModelFigures:
    data = crystal.data
    backbone, all_atoms = (
        round(x, 4) if math.isfinite(x) else _FAR for x in deviations(structure, crystal.structure)
    )
    n_residues = sum(
        residue_letter(residue.name) is not None
        for chain in polymer_chains(structure)
        for residue in chain
    )
    return ModelFigures(
        r_work=round(r.r_work, 5),
        r_free=round(r.r_free, 5) if r.n_free else None,
        cc_e=round(amplitude_correlations(data, amplitudes)[1], 5),
        backbone_rmsd=backbone,
        all_atom_rmsd=all_atoms,
        probability=round(traced.score, 5),
        accepted=bool(traced.accepted),
        n_residues=n_residues,
    )
