"""Alternative conformers tried in a model, and kept where they make it better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import gemmi
import torch

from crysformer.building.alternatives.candidates import Candidate, candidates
from crysformer.building.alternatives.models import (
    occupancies,
    with_conformers,
    without_poor_conformers,
)
from crysformer.building.refined_state import RefinedState, better
from crysformer.building.settings import BuildSettings


class ConformerTrials:
    """Second conformers of side chains, tried together.

    Parameters
    ----------
    refine
        Refines a model for a number of cycles, occupancies included, from an earlier state.
    has_time
        Whether there is time for another refinement.
    settings
        Of building.

    Attributes
    ----------
    notes
        What was tried and what became of it, a sentence each.
    """

    def __init__(
        self,
        refine: Callable[[gemmi.Structure, int, RefinedState], RefinedState],
        has_time: Callable[[], bool],
        settings: BuildSettings,
    ) -> None:
        self.refine, self.has_time, self.settings = refine, has_time, settings
        self.notes: list[str] = []

    def improved(self, state: RefinedState, generator: torch.Generator) -> Iterator[RefinedState]:
        """Better models, each with more conformers than the one before.

        Of a batch of candidates that fails, the better half is tried again.
        """
        settings = self.settings.conformers
        for _ in range(settings.rounds):
            d_min = state.data.d_min
            found = candidates(state.structure, state.difference, d_min, generator, settings)
            new = None
            while found and new is None and self.has_time():
                new = self._tried(state, found)
                found = found[: len(found) // 2]
            if new is None:
                break
            state = new
            yield state
        alternatives = occupancies(state.structure)
        if alternatives:
            listed = ", ".join(map(str, alternatives))
            self.notes.append(f"alternative conformers, with their occupancies: {listed}")

    def _tried(self, state: RefinedState, found: Sequence[Candidate]) -> RefinedState | None:
        """The model with second conformers but those that refinement removes, if it is better."""
        settings, before = self.settings.conformers, len(occupancies(state.structure))
        start = with_conformers(state.structure, found, settings.first_occupancy)
        new = self.refine(start, self.settings.short_cycles, state)
        checked, removed = without_poor_conformers(new.structure, settings)
        n, whole = len(occupancies(checked)) - before, not removed
        promising = n > 0 and (removed > 0 or better(new, state))
        if promising and self.has_time():
            new, whole = self.refine(checked, self.settings.short_cycles, new), True
        kept = n > 0 and whole and better(new, state)
        self.notes.append(
            f"alternative conformers of {len(found)} residues: "
            + (f"{n} kept" if kept else "not kept")
            + f", R-work {state.r.r_work:.3f} to {new.r.r_work:.3f}, "
            f"R-free {state.r.r_free:.3f} to {new.r.r_free:.3f}"
        )
        return new if kept else None
