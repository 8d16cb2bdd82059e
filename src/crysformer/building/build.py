"""From phases to a refined model: start, refinement, rebuilding, waters, hydrogens, R-free."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from crysformer.building.build_run import BuildRun
from crysformer.building.built_model import BuiltModel
from crysformer.building.clock import Clock, Report
from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import is_anisotropic, residue_letter, residue_names
from crysformer.building.refinement.choice import choose_refiner
from crysformer.building.refinement.refiner import RefinementFailed
from crysformer.building.settings import BuildSettings
from crysformer.building.shaking import shaken
from crysformer.building.start import Start, starting_model
from crysformer.building.tracing.from_amplitudes import inverse_coefficients
from crysformer.crystal.free_set import free_set
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import UsageError
from crysformer.peptide.sequence_file import sequences_of
from crysformer.progress import begin_stage, ending_stage

TIME_LIMIT: Final = 300.0
"""Seconds that building may take by default."""


@ending_stage
def build(
    data: CrystalData,
    sequence: str | Sequence[str] | None = None,
    start: Start | None = None,
    settings: BuildSettings | None = None,
    *,
    dictionary: Sequence[str | Path] = (),
    copies: int | None = None,
    time_limit: float = TIME_LIMIT,
    k_fold_limit: float = math.inf,
    seed: int = 0,
    progress: Report | None = None,
    return_interrupted: bool = False,
) -> BuiltModel:
    """Build and refine a model.

    A change of the model (side chains, waters, hydrogens, anisotropic B) is kept only if it lowers
    R-free, or with fewer than 300 free reflections Akaike's criterion
    (`crysformer.building.refined_state`).

    Parameters
    ----------
    data
        The crystal.
    sequence
        The chains, as `crysformer.solve` takes them; not needed where `start` has a model.
    start
        A model, atoms or map coefficients (`crysformer.building.start`).
    settings
        Of building.
    dictionary
        Monomer dictionaries, before those that are installed, and definitions of components, from
        which restraints are made where no dictionary has any.
    copies
        Copies of all chains in the asymmetric unit; estimated by default.
    time_limit
        Seconds after which no further step begins and a running refinement is stopped.
    k_fold_limit
        Seconds that a k-fold R-free may take; if it would take longer there is none.
    seed
        Of random numbers; the free set is the same for all.
    progress
        Called with the fraction of the time that is used, and what is done.
    return_interrupted
        On Ctrl-C or SIGTERM, return the best model so far with the `interruption`, if there is
        one, instead of raising it.

    Returns
    -------
    BuiltModel
        The best model; a refinement that failed later is told in `failure`.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM.
    InputError
        If there is nothing to begin with, the sequence does not fit, or a residue has no
        restraints.
    UsageError
        If the time limit or the number of copies is not positive.
    RefinementFailed
        If no refinement gave a model.
    """
    if not time_limit > 0:
        raise UsageError(f"`build_time_limit` is {time_limit:g}: expected seconds above zero")
    if copies is not None and copies < 1:
        raise UsageError(f"`copies` is {copies}: expected a whole number from 1")
    settings, start = settings or BuildSettings(), start or Start()
    sequences = sequences_of(sequence)
    begin_stage(progress, "building", time_limit)
    clock = Clock(time_limit, progress)
    clock.report("starting model")
    first = starting_model(data, sequences, start, settings, clock.end, copies, seed)
    free = free_set(data)  # the same for every seed
    refiner, notes = choose_refiner(first.structure, [*dictionary, *start.dictionary])
    work = BuildRun(data, free, settings, refiner, clock, [*first.notes, free.note, *notes])
    generator = torch.Generator().manual_seed(seed)
    structure = first.structure
    if start.F is not None:
        F = inverse_coefficients(data, start.F) if first.inverted else start.F
        density = MapValues.of_coefficients(data, F)
        structure = work.completed(structure, density, sequences, generator)
    if start.all_data is not False and free.free.any() and settings.shake:
        structure = shaken(structure, settings.shake, seed)
        reason = "the model was found with all reflections"
        if start.all_data is None:
            reason = "whether the model was found with the free reflections is not known"
        work.notes.append(
            f"{reason}: it was displaced by {settings.shake:g} A (rms) and refined without the "
            "free ones"
        )
    k_fold, interruption = None, None
    try:
        state = work.first(structure)
        try:
            state = work.improved(state, sequences, generator)
        except RefinementFailed as failure:
            work.fail(failure)
            state = work.best or state
        k_fold = work.k_fold(state, seed, k_fold_limit)
    except KeyboardInterrupt as stop:
        if work.best is None or not return_interrupted:
            raise
        state, interruption = work.best, stop
        work.notes.append("building was interrupted: the model is the best so far")
    if state.scaled.at_limit:
        work.notes.append(f"bulk solvent is not determined: {state.scaled.at_limit}")
    others = [name for name in residue_names(state.structure) if residue_letter(name) is None]
    return BuiltModel(
        data=data,
        free=free,
        scaled=state.scaled,
        coefficients=state.coefficients,
        r=state.r,
        k_fold=k_fold,
        program=state.program,
        cycles=state.cycles,
        origin=first.origin,
        anisotropic=is_anisotropic(state.structure),
        hydrogens=state.structure[0].has_hydrogen(),
        notes=tuple(work.notes),
        log=work.log,
        seconds=time.monotonic() - clock.begun,
        failure=work.failure,
        figures=dict(state.figures),
        ab_initio=start.ab_initio,
        monomers=refiner.dictionaries.library_of(others),
        interruption=interruption,
    )
