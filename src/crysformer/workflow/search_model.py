"""The peptide model of a search as it is written: B factors on an absolute scale, and R-free."""

from __future__ import annotations

from dataclasses import replace

from crysformer.building.free_refinement import (
    FreeRefinementSettings,
    refined_without_free,
    with_absolute_b,
)
from crysformer.building.scaling import scale_model
from crysformer.crystal.free_set import free_set
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.solution import Solution

SETTINGS = FreeRefinementSettings()
"""Displacement, steps and least time of the refinement of a claimed model."""
_FRACTION_OF_SEARCH = 0.1  # of its time, which the refinement may take after a long search


def with_refined_model(solution: Solution, data: CrystalData) -> Solution:
    """Refine the peptide model of a solution without the free reflections.

    The search found it with all reflections, so it is displaced first. The phases of the solution
    stay those of the search. The model of a solution that is not claimed is not refined, but its B
    factors are put on an absolute scale as well.

    Parameters
    ----------
    solution
        Of `crysformer.solve`.
    data
        The crystal; that of the solution comes first.

    Returns
    -------
    Solution
        As given where it has no peptide model.
    """
    model = solution.model
    if model is None:
        return solution
    # of an enantiomorphic pair, the model may be in the other group
    data = replace(solution.data or data, space_group=model.space_group)
    if solution.solved and solution.interruption is None:
        seconds = max(SETTINGS.time_limit, _FRACTION_OF_SEARCH * solution.seconds)
        settings = replace(SETTINGS, time_limit=seconds)
        refined = refined_without_free(model, data, free_set(data), settings=settings)
        if refined is not None:
            notes = (*solution.notes, *refined.notes)
            return replace(
                solution, model=refined.model, refinement=refined.to_summary(), notes=notes
            )
        note = "the model has no R-free: displaced, it did not come back to its R factor"
        solution = replace(solution, notes=(*solution.notes, note))
    scaled = scale_model(model.to_structure(), data)
    return replace(solution, model=with_absolute_b(model, scaled))
