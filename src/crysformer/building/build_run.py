"""Refinements and changes of one model, as long as there is time, and the best one so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import gemmi
import torch

from crysformer.building.amide_flips import turn_amides
from crysformer.building.clock import Clock
from crysformer.building.completion import Completion
from crysformer.building.conformer_trials import ConformerTrials
from crysformer.building.map_values import MapValues
from crysformer.building.methyl_names import name_methyls
from crysformer.building.model_atoms import heavy_atoms, is_anisotropic
from crysformer.building.ordered_waters import (
    OrderedWaterSettings,
    with_new_waters,
    without_poor_waters,
)
from crysformer.building.r_factors import RFactors, k_fold_r_factors
from crysformer.building.refined_state import RefinedState, better
from crysformer.building.refinement.own import OwnRefinement
from crysformer.building.refinement.refiner import (
    Displacement,
    RefinedStructure,
    RefinementFailed,
    Refiner,
)
from crysformer.building.scaling import scale_model
from crysformer.building.settings import BuildSettings
from crysformer.building.shaking import shaken
from crysformer.crystal.free_set import FreeSet, folds
from crysformer.crystal.reflections import CrystalData

_ANISOTROPIC_PARAMETERS: Final = 9  # position and six displacements of one atom
_RESERVE: Final = 1.3  # of the time of a refinement, kept for the next one of its kind


@dataclass(eq=False)
class BuildRun:
    """Refinements of one crystal: the program, its log, and the best state so far.

    Attributes
    ----------
    data, free, settings, refiner, clock
        What is refined, by what, and until when; our own refinement replaces a program that fails
        at once.
    notes, log
        Sentences for the user, and the output of the program.
    failure
        The line of the last refinement that failed.
    longest
        Longest time of a refinement so far, s.
    best
        The best state so far.
    """

    data: CrystalData
    free: FreeSet
    settings: BuildSettings
    refiner: Refiner
    clock: Clock
    notes: list[str]
    log: str = ""
    failure: str = ""
    longest: float = 0.0
    best: RefinedState | None = None

    def fail(self, failure: RefinementFailed) -> None:
        """Note a failed refinement, and keep its log."""
        self.log += failure.log
        self.failure = str(failure)
        self.notes.append(f"{failure}; the model before it is kept")

    def completed(
        self,
        structure: gemmi.Structure,
        density: MapValues,
        sequences: Sequence[str],
        generator: torch.Generator,
    ) -> gemmi.Structure:
        """Copy of a model with the atoms and the ends of chains that the map shows."""
        copy = structure.clone()
        completion = Completion(copy, density, generator, self.settings.completion)
        atoms = completion.fill()
        residues = completion.extend(sequences)
        if atoms or residues:
            self.notes.append(f"added from the map: {atoms} atoms and {residues} residues")
        return copy

    def first(self, structure: gemmi.Structure) -> RefinedState:
        """Refine the first model; with our own refinement if the program fails."""
        self.clock.report(f"refinement with {self.refiner.program}")
        try:
            self.best = self._refined(structure, self.settings.cycles)
        except RefinementFailed as failure:
            if self.clock.left <= 0:
                raise RefinementFailed(
                    f"{failure}; give it more time with `build_time_limit`", failure.log
                ) from failure
            if isinstance(self.refiner, OwnRefinement):
                raise
            self.log += failure.log
            self.notes.append(f"{failure}; refined with built-in restraints instead")
            self.failure = str(failure)
            self.refiner = OwnRefinement(self.refiner.dictionaries)
            self.best = self._refined(structure, self.settings.cycles)
        return self._continued(self.best)

    def _continued(self, state: RefinedState) -> RefinedState:
        """Refine for longer if R was still falling."""
        falling = state.figures.get("gain", 0.0) > self.settings.converged
        if not falling or not self.settings.more_cycles or not self._time():
            return state
        try:
            new = self._refined(state.structure, self.settings.more_cycles, state)
        except RefinementFailed as failure:
            self.fail(failure)
            return state
        if better(new, state):
            state = self.best = new
        return state

    def improved(
        self, state: RefinedState, sequences: Sequence[str], generator: torch.Generator
    ) -> RefinedState:
        """Rebuild, add waters, and try hydrogens and anisotropic B, as far as each helps."""
        for _ in range(self.settings.rebuilds):
            if not self._time():
                break
            changed = self._rebuilt(state, sequences, generator)
            if changed is None:
                break
            new = self._refined(changed, self.settings.cycles, state)
            if not better(new, state):
                break
            state = self.best = new
        state = self._watered(self._with_amides_turned(state))
        d_min = self.data.d_min
        if self.refiner.full and d_min <= self.settings.hydrogens_d_min and self._time():
            self.clock.report("hydrogens")
            # they ride on atoms that hardly move
            state = self._tried(
                state, "riding hydrogens", self.settings.short_cycles, hydrogens=True
            )
        if self.refiner.full and self._enough_for_anisotropic(state) and self._time():
            self.clock.report("anisotropic B")
            new = self._tried(state, "anisotropic B", self.settings.cycles, displacement="aniso")
            state = self._watered(new) if new is not state else state
        if self.refiner.full:  # it refines occupancies
            trials = ConformerTrials(self._refined, self._time, self.settings)
            for better_one in trials.improved(state, generator):
                state = self.best = better_one
            self.notes += trials.notes
        return state

    def k_fold(self, state: RefinedState, seed: int, limit: float) -> RFactors | None:
        """R factors over folds of the data, if the free set is small and there is time."""
        n = self.settings.folds
        if not n or not self.free.few(self.data):
            return None
        needed = n * _RESERVE * self.longest
        if min(self.clock.left, limit) < needed:
            short = self.clock.left < needed
            why = (
                "does not fit into the time limit of building"
                if short
                else f"is left out after a search, where it may take {limit:.0f} s; "
                "`crysformer build FOLDER -o NEW` has it"
            )
            self.notes.append(
                f"R-free is that of few reflections: the {n}-fold one, about {needed:.0f} s, {why}"
            )
            return None
        sets, models = folds(self.data, n, seed), []
        try:
            for i, fold in enumerate(sets):
                self.clock.report(f"R-free, part {i + 1} of {n}")
                start = shaken(state.structure, self.settings.shake, seed + i)
                refined = self._run(start, self.settings.cycles, fold)
                scaled = scale_model(
                    refined.structure, self.data, fold, settings=self.settings.scaling
                )
                models.append(scaled.F_model)
        except RefinementFailed as failure:
            self.log += failure.log
            self.notes.append(f"{failure}; there is no k-fold R-free")
            return None
        return k_fold_r_factors(self.data, sets, models)

    def _time(self) -> bool:
        """Whether the time that is left is enough for one more refinement."""
        return self.clock.left > _RESERVE * self.longest

    def _run(
        self,
        structure: gemmi.Structure,
        cycles: int,
        free: FreeSet,
        displacement: Displacement | None = None,
        hydrogens: bool | None = None,
    ) -> RefinedStructure:
        """Refine a model; by default one of the kind that it is."""
        if displacement is None:
            displacement = "aniso" if is_anisotropic(structure) else "iso"
        if hydrogens is None:
            hydrogens = structure[0].has_hydrogen()
        begun = time.monotonic()
        refined = self.refiner.refine(
            structure, self.data, free.free, cycles=cycles, displacement=displacement,
            hydrogens=hydrogens, deadline=self.clock.end,
        )  # fmt: skip
        name_methyls(refined.structure)
        self.longest = max(self.longest, time.monotonic() - begun)
        self.log += refined.log
        return refined

    def _refined(
        self,
        structure: gemmi.Structure,
        cycles: int,
        before: RefinedState | None = None,
        displacement: Displacement | None = None,
        hydrogens: bool | None = None,
    ) -> RefinedState:
        """Refine a model that comes from an earlier state, and scale it."""
        refined = self._run(structure, cycles, self.free, displacement, hydrogens)
        return replace(
            self._scaled(refined.structure),
            program=refined.program,
            cycles=refined.cycles + (0 if before is None else before.cycles),
            figures=refined.figures,
        )

    def _scaled(self, structure: gemmi.Structure) -> RefinedState:
        return RefinedState.of(structure, self.data, self.free, self.settings.scaling)

    def _rebuilt(
        self, state: RefinedState, sequences: Sequence[str], generator: torch.Generator
    ) -> gemmi.Structure | None:
        """Copy with turned side chains, missing atoms and longer ends; None if nothing changes."""
        self.clock.report("rebuilding")
        copy = state.structure.clone()
        completion = Completion(copy, state.density, generator, self.settings.completion)
        changes = completion.fill() + completion.extend(sequences)
        changes += completion.remove_unseen_ends(state.difference)  # which may be in the way
        changes += completion.turn_side_chains()
        return copy if changes else None

    def _with_amides_turned(self, state: RefinedState) -> RefinedState:
        """Turn amides by their hydrogen bonds, where the density cannot tell N from O."""
        copy = state.structure.clone()
        if self.data.d_min <= self.settings.amide_d_min or not self._time():
            return state
        turned = turn_amides(copy)
        if turned:
            self.notes.append(f"amides of Asn and Gln turned by their hydrogen bonds: {turned}")
            state = self.best = self._refined(copy, self.settings.short_cycles, state)
        return state

    def _watered(self, state: RefinedState) -> RefinedState:
        """Add waters in rounds, as long as they make the model better."""
        settings = self.settings.waters
        state = self._with_waters(state, settings)
        return self._with_waters(state, settings.weak) if self.free.few(self.data) else state

    def _with_waters(self, state: RefinedState, settings: OrderedWaterSettings) -> RefinedState:
        for _ in range(settings.rounds):
            if not self._time():
                break
            self.clock.report("waters")
            wet, added = with_new_waters(
                state.structure, self.data, state.difference, state.density, settings
            )
            if not added:
                break
            new = self._refined(wet, self.settings.short_cycles, state)
            checked, removed = without_poor_waters(new.structure, new.density, settings)
            if removed and self._time():
                new = self._refined(checked, self.settings.short_cycles, new)
            elif removed:
                new = replace(self._scaled(checked), program=new.program, cycles=new.cycles)
            if not better(new, state):
                break
            state = self.best = new
        return state

    def _tried(
        self,
        state: RefinedState,
        what: str,
        cycles: int,
        displacement: Displacement | None = None,
        hydrogens: bool | None = None,
    ) -> RefinedState:
        """Refine with another kind of model; the state as it was if that is not better."""
        new = self._refined(state.structure, cycles, state, displacement, hydrogens)
        kept = better(new, state)
        verdict = "kept" if kept else "not kept"
        self.notes.append(
            f"{what}: {verdict}, R-work {state.r.r_work:.3f} to {new.r.r_work:.3f}, "
            f"R-free {state.r.r_free:.3f} to {new.r.r_free:.3f}"
        )
        if kept:
            self.best = new
            return new
        return state

    def _enough_for_anisotropic(self, state: RefinedState) -> bool:
        """Whether resolution and number of reflections justify six displacements of each atom."""
        parameters = _ANISOTROPIC_PARAMETERS * len(heavy_atoms(state.structure))
        working = int((self.data.measured & ~self.free.free).sum())
        enough = working >= self.settings.anisotropic_reflections * parameters
        return enough and self.data.d_min <= self.settings.anisotropic_d_min
