"""The fragment search as a method of the solver."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from crysformer.crystal.chain import letters_of
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping, enantiomorph
from crysformer.errors import NotApplicable
from crysformer.phasing.candidate import Candidate, settle
from crysformer.phasing.content import CellContent, positive_shares
from crysformer.phasing.fragments.expand import expand, weighted_start, without_symmetry
from crysformer.phasing.fragments.from_sulphur import sulphur_candidates
from crysformer.phasing.fragments.ideal import Fragment, ideal_fragment
from crysformer.phasing.fragments.placement import place_fragment, structure_factors
from crysformer.phasing.problem import PhaseProblem

D_MIN = 1.3
"""Resolution (A) from which on a small part of a structure is enough to find the rest."""
_POSES = 16
# Starts that take part in each round of density modification, and their iterations.
_ROUNDS = ((16, 20), (6, 60), (2, 120))
# Log odds of the hand of what grew from a fragment: of L residues, helices right-handed. Assumed.
_HAND = 3.0
_RIGHT = 0.75  # free correlation that wrong phases never come near
_VOLUME_PER_ATOM = 20.0  # A^3, solvent included, where the content is not known
_HELICES, _STRAND = (12, 8), 6
_GRACE = 5.0  # seconds after the deadline for rating
_ENOUGH = 0.5  # confidence of what grew from sulphurs, from which nothing else is tried


def fragments_for(content: CellContent, volume: float, n_operators: int) -> list[Fragment]:
    """What to look for: pieces no longer than a chain, and no larger than the asymmetric unit.

    Parameters
    ----------
    content
        Sequences, and the number of atoms in the cell, where they are known.
    volume
        Of the cell, A^3.
    n_operators
        Of the space group.
    """
    longest = max((len(letters_of(s)) for s in content.sequences), default=_HELICES[0])
    n_atoms = (content.n_atoms or volume / _VOLUME_PER_ATOM) / n_operators
    order = (("helix", _HELICES[0]), ("strand", _STRAND), ("helix", _HELICES[1]))
    pieces = [ideal_fragment(kind, n) for kind, n in order if n <= longest]
    return [piece for piece in pieces if len(piece.xyz) <= n_atoms]


def check_fragments(data: CrystalData, content: CellContent) -> list[Fragment]:
    """The fragments to look for.

    Raises
    ------
    NotApplicable
        If the resolution is too low or the molecules too short.
    """
    if data.d_min > D_MIN:
        raise NotApplicable(f"it needs data to {D_MIN:g} A, these end at {data.d_min:.2f}")
    if data.space_group.is_centrosymmetric():
        raise NotApplicable("the crystal holds both hands")
    found = fragments_for(content, data.cell.volume, len(data.space_group.operations()))
    if not found:
        raise NotApplicable(f"it needs chains of {_STRAND} residues or more")
    return found


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

    Raises
    ------
    NotApplicable
        As `check_fragments`.
    """
    operators = data.space_group.operations()
    n_atoms = content.n_atoms or data.cell.volume / _VOLUME_PER_ATOM
    share = float(positive_shares(content, data.cell.volume, data.d_min, 8, generator).median())
    pieces = check_fragments(data, content)
    found = sulphur_candidates(problem, data, mapping, content, generator, deadline, report)
    if found and found[0].confidence > _ENOUGH:
        return found
    partner = enantiomorph(data.space_group)
    for fragment in pieces:
        for group in (data.space_group, partner):
            if group is None or (found and time.monotonic() > deadline):
                continue
            report(f"placing a {fragment.name} in {group.xhm()}")
            mirrored = group is partner
            own = replace(data, space_group=group)
            poses = place_fragment(own, fragment, content.b_iso, _POSES, generator, deadline)
            part = min(0.9, len(fragment.xyz) * len(operators) / n_atoms)
            placed = structure_factors(own, poses, content.b_iso)
            # the mirror image obeys the group that was given
            placed = placed.conj() if mirrored else placed
            starts = [weighted_start(problem, data, mapping, one, part) for one in placed]
            report(f"completing a {fragment.name}")
            F, free = expand(
                problem,
                torch.stack(starts),
                share,
                content.b_iso,
                _ROUNDS,
                generator,
                deadline + _GRACE,
            )
            best, right = F[:1], float(free[0]) > _RIGHT
            if right and len(operators) > 1:
                best = without_symmetry(
                    problem, best, share, content.b_iso, generator, deadline + _GRACE
                )
            hand = (-_HAND if mirrored else _HAND) if right else 0.0
            shares = torch.full((1,), share)
            found += [
                replace(candidate, hand_log_odds=hand)
                for candidate in settle(
                    problem,
                    content,
                    "fragments",
                    best,
                    shares,
                    1,
                    generator,
                    deadline + _GRACE,
                )
            ]
            if right:
                return sorted(found, key=lambda c: c.confidence, reverse=True)
    return sorted(found, key=lambda c: c.confidence, reverse=True)
