"""The fragment search as a method of the solver."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping
from crysformer.errors import NotApplicable
from crysformer.phasing.candidate import Candidate, settle
from crysformer.phasing.content import CellContent, positive_shares
from crysformer.phasing.fragments.expand import expand, weighted_start
from crysformer.phasing.fragments.library import Fragment, ideal_fragment
from crysformer.phasing.fragments.placement import place_fragment, structure_factors
from crysformer.phasing.problem import PhaseProblem

D_MIN = 1.3
"""Resolution (A) from which on a small part of a structure is enough to find the rest."""
_POSES = 16
# Starts that take part in each round of density modification, and their iterations.
_ROUNDS = ((16, 20), (6, 60), (2, 120))
# Log odds of the hand: ideal fragments are of L residues, helices right-handed. An assumption.
_HAND = 3.0
_RIGHT = 0.75  # free correlation that wrong phases never come near
_VOLUME_PER_ATOM = 20.0  # A^3, solvent included, where the content is not known
_HELICES, _STRANDS = (12, 8), (6,)


def fragments_for(sequences: Sequence[str]) -> list[Fragment]:
    """What to look for in molecules of these sequences (any protein if there are none)."""
    longest = max((len(s) for s in sequences), default=30)
    helices = [ideal_fragment("helix", n) for n in _HELICES if n <= longest]
    strands = [ideal_fragment("strand", n) for n in _STRANDS if n <= longest]
    return [*helices[:1], *strands, *helices[1:]]


def check_fragments(data: CrystalData, content: CellContent) -> None:
    """Refuse crystals from which fragments cannot be completed.

    Raises
    ------
    NotApplicable
        If the resolution is too low or the molecules too short.
    """
    if data.d_min > D_MIN:
        raise NotApplicable(f"it needs data to {D_MIN:g} A, these end at {data.d_min:.2f}")
    if not fragments_for(content.sequences):
        raise NotApplicable(f"it needs chains of {min(*_HELICES, *_STRANDS)} residues or more")


def fragment_candidates(
    problem: PhaseProblem,
    data: CrystalData,
    mapping: P1Mapping,
    content: CellContent,
    generator: torch.Generator,
    deadline: float,
    report: Callable[[str], None] = lambda text: None,
) -> list[Candidate]:
    """Place ideal helices and strands, one kind after the other, and complete the structure.

    Stops at the first kind from which density modification finds phases that predict amplitudes
    it was not given.

    Parameters
    ----------
    problem
        The crystal in P1.
    data, mapping
        The crystal in its own space group, and the way to P1.
    content
        What the cell holds.
    generator
        Source of every random number.
    deadline
        `time.monotonic` to be ready by, as far as possible.
    report
        Called with a few words at every step.
    """
    n_operators = len(data.space_group.operations())
    n_atoms = content.n_atoms or data.cell.volume / _VOLUME_PER_ATOM
    share = float(positive_shares(content, data.cell.volume, data.d_min, 8, generator).median())
    found: list[Candidate] = []
    for fragment in fragments_for(content.sequences):
        if found and time.monotonic() > deadline:
            break
        report(f"placing a {fragment.name}")
        poses = place_fragment(data, fragment, content.b_iso, _POSES, generator, deadline)
        part = min(0.9, len(fragment.xyz) * n_operators / n_atoms)
        starts = torch.stack(
            [
                weighted_start(
                    problem, data, mapping, structure_factors(data, pose, content.b_iso), part
                )
                for pose in poses
            ]
        )
        report(f"completing a {fragment.name}")
        F, free = expand(problem, starts, share, content.b_iso, _ROUNDS, generator, deadline)
        shares = torch.full((1,), share)
        found += [
            replace(candidate, hand_log_odds=_HAND)
            for candidate in settle(problem, content, "fragments", F[:1], shares, 1, generator)
        ]
        if float(free[0]) > _RIGHT:
            break
    return sorted(found, key=lambda c: c.confidence, reverse=True)
