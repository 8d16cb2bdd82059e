"""A population of poses: random starts, sieved and refined from low to high resolution, of which
the best are changed and refined again and again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.compiled_target import target_class
from crysformer.phasing.sequence_search.chain_placement import replace_one_chain
from crysformer.phasing.sequence_search.random_poses import STRANDS, random_poses
from crysformer.phasing.sequence_search.settings import SequenceSettings
from crysformer.phasing.sequence_search.sheet_starts import lay_strands_across, sheet_axes
from crysformer.phasing.sequence_search.side_chain_fit import fit_side_chains
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions, score_poses
from crysformer.phasing.sequence_search.trial_moves import propose

_LOWEST_B = 8.0  # A^2, of the atoms
_SIEVES = (3.5, 3.0, 2.5)  # A; the first with enough reflections rates random poses
_SIEVE_REFLECTIONS = 30
_COARSE, _MIDDLE = 3.0, 2.2  # A, of the stages of refinement before the full resolution
_STRAND = 4  # residues that make one
_SHEETS = 3  # where strands are possible all parts of random poses but one in so many are of them
_PLACE_SPACING = 1.2  # A, of the positions tried for a chain placed again
_SCANNED = 1e7  # structure factors for that in a generation: less time than the rest of it takes
_PART = 500  # random poses rated together
_PROGRESS = 0.002  # rise of the best score that counts


@dataclass(frozen=True, eq=False)
class RankedPoses:
    """Poses of one search, best first.

    Attributes
    ----------
    pose
        The poses.
    score
        Of each, shape (B,).
    """

    pose: Pose
    score: Tensor


class Population:
    """Poses of known chains against amplitudes, in the crystal's own space group.

    Parameters
    ----------
    data
        The crystal; reflections to be left out of the search are NaN.
    sequences
        All chains of the asymmetric unit, one-letter codes.
    b_iso
        Mean B, A^2.
    generator
        On the CPU.
    deadline
        `time.monotonic` after which no step is begun.
    device
        Compute device.
    settings
        Numbers of poses and generations.
    helix_starts
        Makes starts along placed helices for the first population; None if it finds none. Chains
        longer than `settings.long_residues` are then not started at random.
    """

    def __init__(
        self,
        data: CrystalData,
        sequences: tuple[str, ...],
        b_iso: float,
        generator: torch.Generator,
        deadline: float = math.inf,
        device: torch.device | str = "cpu",
        settings: SequenceSettings | None = None,
        helix_starts: Callable[[Kinematics], Pose | None] | None = None,
    ) -> None:
        self.settings = s = settings or SequenceSettings()
        self._helix_starts = helix_starts
        self.kinematics = Kinematics(build_peptides(sequences), device)
        peptides = self.kinematics.peptides
        self.longest = max(len(chain.letters) for chain in peptides.chains)
        self.size = s.long_population if self.longest > s.long_residues else s.population
        small = len(peptides.codes) <= s.small_residues
        self.screened = s.small_screened if small else s.screened
        self.starts = s.small_starts if small else s.starts
        self.generator, self.deadline = generator, deadline
        self.cell = torch.tensor(data.orth, dtype=torch.float32)
        b_iso = max(b_iso, _LOWEST_B)
        sharp = replace(data, f=data.f * np.exp(0.25 * s.sharpened * b_iso * data.d**-2.0))
        number = self.kinematics.peptides.number
        make_target = target_class(device) if s.compiled and not small else AmplitudeTarget
        self.targets = {
            d: make_target(
                sharp,
                number,
                b_iso * (1 - s.sharpened),
                d,
                overlap=s.overlap,
                solvent=int(data.measured.sum()) >= s.solvent_from,
                device=device,
            )
            for d in {*_SIEVES, _COARSE, _MIDDLE, 0.0}
            if d == 0.0 or d > 1.1 * data.d_min
        }
        enough = [d for d in _SIEVES if d in self.targets]
        enough = [d for d in enough if self.targets[d].n_reflections >= _SIEVE_REFLECTIONS]
        self.sieve = self.targets[enough[0]] if enough else self.target
        lengths = torch.linalg.vector_norm(self.cell, dim=0)
        steps = [torch.arange(n) / n for n in (lengths / _PLACE_SPACING).ceil().tolist()]
        self.places = torch.cartesian_prod(*steps) @ self.cell.mT
        self.pose: Pose | None = None
        self.score = torch.empty(0)
        self.archive: list[RankedPoses] = []
        self.generations = 0
        self.tried = 0
        self._best, self._stale = -math.inf, 0

    @property
    def target(self) -> AmplitudeTarget:
        """The target at full resolution."""
        return self.targets[0.0]

    def advance(self, until: float, deadline: float = math.inf) -> RankedPoses:
        """Continue the search until about `until`; the poses, best first.

        No step is begun after `deadline` (both of `time.monotonic`).
        """
        self.deadline = deadline
        until = min(deadline, until)
        if self.pose is None or self._stale >= self.settings.stale:
            self._begin()
        while time.monotonic() < until:
            self._generation()
        assert self.pose is not None
        order = self.score.argsort(descending=True)
        return RankedPoses(self.pose[order], self.score[order])

    def _begin(self) -> None:
        """Begin a new population, from random poses or helix starts."""
        if self.pose is not None:
            order = self.score.argsort(descending=True)[:10]
            self.archive.append(RankedPoses(self.pose[order], self.score[order]))
        k = self.kinematics
        starts = self._helix_starts(k) if self._helix_starts is not None else None
        self._helix_starts = None
        found = []
        if starts is not None:
            found.append(self._from_helices(starts.to(k.device)))
        if starts is None or self.longest <= self.settings.long_residues:
            found.append(self._from_random_poses())
        pose, score = join([f.pose for f in found]), torch.cat([f.score for f in found])
        self.pose, self.score = _best(pose, score, self.size)
        # copies: generations change the population in place
        self.archive.append(RankedPoses(self.pose[:30].clone(), self.score[:30].clone()))
        self._best, self._stale = float(self.score.max()), 0

    def _from_helices(self, pose: Pose) -> RankedPoses:
        """The best helix starts, refined at full resolution: they are too near to begin lower."""
        k, target = self.kinematics, self.target
        pose = fit_side_chains(
            k, target, pose, self.generator, self.deadline, settings=self.settings.side_chains
        )
        score = score_poses(k, target, pose)
        self.tried += len(pose)
        pose, score = _best(pose, score, self.size)
        steps = Steps(60, 0.05, 0.04, 0.1)
        pose, score = refine_torsions(k, target, pose, steps, self.deadline)
        # once more, now that the backbone is better
        again, _ = _best(pose, score, self.settings.refined_twice)
        again = fit_side_chains(
            k, target, again, self.generator, self.deadline, settings=self.settings.side_chains
        )
        again, better = refine_torsions(k, target, again, steps, self.deadline)
        return RankedPoses(join([pose, again]), torch.cat((score, better)))

    def _from_random_poses(self) -> RankedPoses:
        """The best of random poses, sieved and refined from low to high resolution."""
        k = self.kinematics
        poses: list[Pose] = []
        scores: list[Tensor] = []
        for _ in range(0, self.screened, _PART):
            drawn = self._drawn(len(poses)).to(k.device)
            poses.append(drawn)
            scores.append(score_poses(k, self.sieve, drawn))
            if time.monotonic() > self.deadline:
                break
        self.tried += _PART * len(poses)
        pose, score = join(poses), torch.cat(scores)
        pose, score = _best(pose, score, self.starts)
        stages = (
            (_COARSE, Steps(40), 0.4),
            (_MIDDLE, Steps(40, 0.08, 0.06, 0.15), 0.4),
            (0.0, Steps(60, 0.05, 0.04, 0.1), 0.0),
        )
        for d, steps, fraction in stages:
            if d not in self.targets:
                continue
            pose, score = refine_torsions(k, self.targets[d], pose, steps, self.deadline)
            pose, score = _best(pose, score, max(self.size, round(fraction * len(score))))
        score = score_poses(k, self.target, pose)
        return RankedPoses(*_best(pose, score, self.size))

    def _drawn(self, part: int) -> Pose:
        """Random poses; where a cell edge could be a sheet's, most parts are strands across it."""
        k, axes = self.kinematics, sheet_axes(self.cell)
        if not len(axes) or self.longest < _STRAND or part % _SHEETS == 0:
            return random_poses(k.peptides, _PART, self.cell, self.generator)
        drawn = random_poses(k.peptides, _PART, self.cell, self.generator, STRANDS)
        return lay_strands_across(k, drawn.to(k.device), axes, self.generator)

    def _generation(self) -> None:
        """Change every pose, refine it, and keep it if it is better or hardly worse."""
        k, pose = self.kinematics, self.pose
        assert pose is not None
        child = propose(k, pose, self.generator, settings=self.settings.trial_moves)
        replaced = torch.rand(len(pose), generator=self.generator) < self.settings.replaced
        rows = replaced.nonzero()[:, 0].to(k.device)
        if len(k.peptides.sequences) > 1 and len(rows):
            size = len(rows) * len(self.places) * self.sieve.n_reflections
            trials = min(max(1, int(_SCANNED / size)), self.settings.orientations)
            placed = replace_one_chain(
                k, pose[rows], self.sieve, self.places, trials, self.generator
            )
            for values, new in zip(child.parts, placed.parts, strict=True):
                values[rows] = new
        if _MIDDLE in self.targets:
            steps = Steps(25, 0.08, 0.06, 0.15)
            child, _ = refine_torsions(k, self.targets[_MIDDLE], child, steps, self.deadline)
        child, score = refine_torsions(
            k, self.target, child, Steps(35, 0.05, 0.04, 0.1), self.deadline
        )
        chance = torch.rand(len(score), generator=self.generator).to(score)
        taken = chance < ((score - self.score) / self.settings.temperature).exp()
        for old, new in zip(pose.parts, child.parts, strict=True):
            old[taken] = new[taken]
        self.score = torch.where(taken, score, self.score)
        self.generations += 1
        if self.generations % self.settings.copy_every == 0:
            order = self.score.argsort(descending=True)
            n = max(1, int(self.settings.copied * len(order)))
            drawn = torch.randint(max(1, len(order) // 3), (n,), generator=self.generator)
            source = order[drawn.to(order.device)]
            for values in pose.parts:
                values[order[-n:]] = values[source]
            self.score[order[-n:]] = self.score[source]
        best = float(self.score.max())
        self._stale = 0 if best > self._best + _PROGRESS else self._stale + 1
        self._best = max(best, self._best)


def _best(pose: Pose, score: Tensor, n: int) -> tuple[Pose, Tensor]:
    order = score.argsort(descending=True)[:n]
    return pose[order], score[order]
