"""The fragment search as a method of the solver."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import gemmi
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping, enantiomorph
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.candidate import Candidate, settle
from crysformer.phasing.cell_content import CellContent, positive_fractions
from crysformer.phasing.fragments.applicability import VOLUME_PER_ATOM, check_fragments
from crysformer.phasing.fragments.completion import Rounds, expand, weighted_start, without_symmetry
from crysformer.phasing.fragments.free_atom_completion import atoms_from_phases
from crysformer.phasing.fragments.heavy_atom_method import sulphur_candidates
from crysformer.phasing.fragments.placement import (
    FragmentPlacer,
    PlacedFragment,
    structure_factors,
)
from crysformer.phasing.problem import PhaseProblem

_POSES, _BEAM = 16, 12  # kept of the first fragment, and built on
_ORIENTATIONS = 24
# Starts that take part in each round of density modification, and their iterations.
_ROUNDS: Rounds = ((16, 20), (6, 60), (2, 120))
_ROUNDS_FURTHER: Rounds = ((3, 60), (1, 140))
_MOST, _PLACED_SHARE = 6, 0.75  # helices of one kind; share of the structure that they may be
# Rise of the free correlation over that of a single helix: from which free atoms are grown, and
# without which, after so many helices, no further one is placed. Wrong ones stay within 0.03.
_ROSE, _NO_USE = 0.1, (3, 0.05)
_IN_VAIN = 2  # further helices that raised nothing, after which no more are placed
_PROMISING = 0.5  # free correlation from which free atoms are grown in any case
_LAST_ROUND: Rounds = ((1, 300),)
# Log odds of the hand of what grew from a fragment. Assumed: of L residues, helices right-handed,
# and a helix does not fit where its mirror image is.
_HAND = {"helix": 6.0, "strand": 3.0}
_RIGHT = 0.75  # free correlation that wrong phases never come near
_DOUBTED = 0.5  # confidence that phases with the symmetry they were given must earn without it
_GRACE = 5.0  # seconds after the deadline for rating
_ENOUGH = 0.5  # confidence of free atoms, from which nothing else is tried


def fragment_candidates(
    problem: PhaseProblem,
    data: CrystalData,
    mapping: P1Mapping,
    content: CellContent,
    generator: torch.Generator,
    deadline: float,
    report: Callable[[str], None] = lambda text: None,
    limit: float | None = None,
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
    limit
        `time.monotonic` to be ready by instead, once helices have been placed that look right.

    Raises
    ------
    NotApplicable
        As `check_fragments`.
    """
    n_atoms = content.n_atoms or data.cell.volume / VOLUME_PER_ATOM
    share = float(positive_fractions(content, data.cell.volume, data.d_min, 8, generator).median())
    pieces = check_fragments(data, content)
    found = sulphur_candidates(problem, data, mapping, content, generator, deadline, report)
    if found and found[0].confidence > _ENOUGH:
        return found
    partner = enantiomorph(data.space_group)
    search = _Search(
        problem,
        data,
        mapping,
        content,
        generator,
        deadline,
        limit or deadline,
        share,
        n_atoms,
        report,
    )
    for fragment in pieces:
        for group in (data.space_group, partner):
            if group is None or (found and time.monotonic() > deadline):
                continue
            try:
                more, right = search.grown(fragment, group, mirrored=group is partner)
            except NotApplicable:
                if not found:
                    raise
                continue
            found += more
            if right:
                return sorted(found, key=lambda c: c.confidence, reverse=True)
    return sorted(found, key=lambda c: c.confidence, reverse=True)


@dataclass(frozen=True, eq=False)
class _Search:
    """One crystal, and what it takes to complete it."""

    problem: PhaseProblem
    data: CrystalData
    mapping: P1Mapping
    content: CellContent
    generator: torch.Generator
    deadline: float
    limit: float
    share: float
    n_atoms: float
    report: Callable[[str], None]

    def grown(
        self, fragment: Fragment, group: gemmi.SpaceGroup, *, mirrored: bool
    ) -> tuple[list[Candidate], bool]:
        """What one fragment becomes, or several of its kind; and whether that looks right."""
        own = replace(self.data, space_group=group)
        n_operators = len(group.operations())
        most = int(_PLACED_SHARE * self.n_atoms / n_operators / len(fragment.xyz))
        most = min(max(1, most), _MOST if fragment.kind == "helix" else 1)
        self.report(f"placing a {fragment.name} in {group.xhm()}")
        placer = FragmentPlacer(
            own,
            fragment,
            self.content.b_iso,
            _POSES,
            _ORIENTATIONS,
            self.generator,
            self.deadline,
        )
        begun = time.monotonic()
        poses = placer.first()
        found: list[Candidate] = []
        best: tuple[float, torch.Tensor] = (-1.0, torch.empty(0))
        last = 0
        for count in range(1, most + 1):
            if count > 1:
                self.report(f"placing {count} of it")
                try:
                    poses = placer.further(poses[:_BEAM])
                except NotApplicable:
                    break
            if not poses:
                break
            rounds = _ROUNDS if count == 1 else _ROUNDS_FURTHER
            part = count * len(fragment.xyz) * n_operators / self.n_atoms
            F, candidate, right = self._completed(own, poses, part, rounds, mirrored=mirrored)
            found.append(candidate)
            if right:
                return found, True
            if _free(candidate) > best[0]:
                best, last = (_free(candidate), F), count
            rose = best[0] - _free(found[0])
            useless = (count >= _NO_USE[0] and rose < _NO_USE[1]) or count - last >= _IN_VAIN
            # free atoms want time as well
            until = 0.5 * (begun + self.deadline) if rose > _ROSE else self.deadline
            if useless or time.monotonic() > until:
                break
        promising = best[0] > _PROMISING or best[0] - _free(found[0]) > _ROSE
        if not promising or self.content.n_atoms is None:
            return found, False
        self.report("growing free atoms")
        F, _ = expand(
            self.problem,
            best[1],
            self.share,
            self.content.b_iso,
            _LAST_ROUND,
            self.generator,
            self.limit,
        )
        grown = atoms_from_phases(
            self.problem, self.data, self.mapping, self.content, F[0], self.generator, self.limit
        )
        grown = replace(grown, hand_log_odds=_hand(fragment, mirrored=mirrored))
        return [*found, grown], grown.confidence > _ENOUGH

    def _completed(
        self,
        own: CrystalData,
        poses: list[PlacedFragment],
        part: float,
        rounds: Rounds,
        *,
        mirrored: bool,
    ) -> tuple[torch.Tensor, Candidate, bool]:
        """The best of the poses after density modification, and whether it looks right.

        Phases, half grid (1, ...), and the candidate that they become.
        """
        content, end = self.content, self.deadline + _GRACE
        placed = structure_factors(own, poses[: rounds[0][0]], content.b_iso)
        # the mirror image obeys the group that was given
        placed = placed.conj() if mirrored else placed
        starts = [
            weighted_start(self.problem, self.data, self.mapping, one, min(0.9, part))
            for one in placed
        ]
        name = poses[0].fragment.name
        self.report(f"completing a {name}" if len(poses[0].xyz) == 1 else "completing them")
        F, free = expand(
            self.problem,
            torch.stack(starts),
            self.share,
            content.b_iso,
            rounds,
            self.generator,
            end,
        )
        right = float(free[0]) > _RIGHT

        def settled(phases: torch.Tensor) -> Candidate:
            share = torch.full((1,), self.share)
            return settle(
                self.problem, content, "fragments", phases, share, 1, self.generator, end
            )[0]

        def shaken() -> Candidate:
            return settled(
                without_symmetry(
                    self.problem, F[:1], self.share, content.b_iso, self.generator, end
                )
            )

        symmetric = len(own.space_group.operations()) > 1
        candidate = shaken() if right and symmetric else settled(F[:1])
        if symmetric and not right and candidate.confidence > _DOUBTED:
            candidate = shaken()
        hand = _hand(poses[0].fragment, mirrored=mirrored) if right else 0.0
        return F[:1], replace(candidate, hand_log_odds=hand), right


def _hand(fragment: Fragment, *, mirrored: bool) -> float:
    odds = _HAND[fragment.kind]
    return -odds if mirrored else odds


def _free(candidate: Candidate) -> float:
    return candidate.figures["free_correlation"]
