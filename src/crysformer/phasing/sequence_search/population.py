"""The search: random starts, sieved and improved from low to high resolution, then a population
of the best that is changed and improved again and again.
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
from crysformer.phasing.refinement.bulk_solvent import ENOUGH
from crysformer.phasing.sequence_search.chain_placement import replace_one_chain
from crysformer.phasing.sequence_search.random_poses import STRANDS, random_poses
from crysformer.phasing.sequence_search.sheet_starts import lay_strands_across, sheet_axes
from crysformer.phasing.sequence_search.side_chain_fit import fit_side_chains
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.phasing.sequence_search.trial_moves import propose

_OVERLAP = 0.1
# Share of the mean B that amplitudes are freed of: right poses stand out more from wrong ones.
_SHARPENED = 0.5
_LOWEST_B = 8.0
_SIEVE = (3.5, 3.0, 2.5)  # A; the first with enough reflections
_SIEVE_REFLECTIONS = 30
_COARSE, _MIDDLE = 3.0, 2.2
_SMALL = 2  # residues in all, up to which few starts do
_COPY_EVERY, _COPIED = 5, 8  # generations; one in so many poses
_TEMPERATURE = 0.005
_ANEW, _ORIENTATIONS = 0.25, 32  # share of the poses in which a chain is placed anew; trials
_SPACING = 1.2  # A, of the places tried
_SCAN = 1e7  # structure factors for that in a generation: less time than the rest of it takes
_PART = 500
_BY_CHANCE = 12  # residues of a chain, up to which random starts find it
_AGAIN = 12  # seeds whose side chains are fitted twice
_STRAND = 4  # residues that make one
_SHEETS = 3  # all parts of random poses but one in so many are of strands, if they may be
_STALE = 60  # generations without progress, after which all begins anew


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes
    ----------
    screened
        Random poses, rated at low resolution only.
    starts
        The best of them, improved.
    population
        The best of those, which are changed and improved again.
    """

    screened: int = 30_000
    starts: int = 1200
    population: int = 100


_SMALL_EFFORT = Effort(4000, 1000, 100)
_LARGE_EFFORT = Effort(population=40)  # generations of long chains take long


@dataclass(frozen=True, eq=False)
class Found:
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


class SequenceSearch:
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
        Where to compute.
    effort
        How much is tried; by default by the number of residues.
    seeds
        Makes starts that are not left to chance, for the first population; None if it finds none.
        Chains of more than 12 residues are then not started at random.
    """

    def __init__(
        self,
        data: CrystalData,
        sequences: tuple[str, ...],
        b_iso: float,
        generator: torch.Generator,
        deadline: float = math.inf,
        device: torch.device | str = "cpu",
        effort: Effort | None = None,
        seeds: Callable[[Kinematics], Pose | None] | None = None,
    ) -> None:
        self.seeds = seeds
        self.kinematics = Kinematics(build_peptides(sequences), device)
        longest = max(len(chain.letters) for chain in self.kinematics.peptides.chains)
        self.effort = effort or (_LARGE_EFFORT if longest > _BY_CHANCE else Effort())
        if effort is None and len(self.kinematics.peptides.codes) <= _SMALL:
            self.effort = _SMALL_EFFORT
        self.generator, self.deadline = generator, deadline
        self.cell = torch.tensor(data.cell.orth.mat.tolist(), dtype=torch.float32)
        b_iso = max(b_iso, _LOWEST_B)
        sharp = replace(data, f=data.f * np.exp(0.25 * _SHARPENED * b_iso * data.d**-2.0))
        number = self.kinematics.peptides.number
        self._targets = {
            d: AmplitudeTarget(
                sharp,
                number,
                b_iso * (1 - _SHARPENED),
                d,
                overlap=_OVERLAP,
                solvent=int(data.measured.sum()) >= ENOUGH,
                device=device,
            )
            for d in {*_SIEVE, _COARSE, _MIDDLE, 0.0}
            if d == 0.0 or d > 1.1 * data.d_min
        }
        enough = [d for d in _SIEVE if d in self._targets]
        enough = [d for d in enough if self._targets[d].n_reflections >= _SIEVE_REFLECTIONS]
        self.sieve = self._targets[enough[0]] if enough else self.target
        lengths = torch.linalg.vector_norm(self.cell, dim=0)
        steps = [torch.arange(n) / n for n in (lengths / _SPACING).ceil().tolist()]
        self.places = torch.cartesian_prod(*steps) @ self.cell.mT
        self.population: Pose | None = None
        self.score = torch.empty(0)
        self.archive: list[Found] = []
        self.generations = 0
        self.tried = 0
        self._best, self._stale = -math.inf, 0

    @property
    def target(self) -> AmplitudeTarget:
        """The target at full resolution."""
        return self._targets[0.0]

    def advance(self, seconds: float) -> Found:
        """Search on for about so long and return the population, best first."""
        until = min(self.deadline, time.monotonic() + seconds)
        if self.population is None or self._stale >= _STALE:
            self._begin()
        while time.monotonic() < until:
            self._generation()
        assert self.population is not None
        order = self.score.argsort(descending=True)
        return Found(self.population[order], self.score[order])

    def _begin(self) -> None:
        """A new population out of random poses."""
        if self.population is not None:
            order = self.score.argsort(descending=True)[:10]
            self.archive.append(Found(self.population[order], self.score[order]))
        k = self.kinematics
        seeds, self.seeds = self.seeds(k) if self.seeds is not None else None, None
        found = []
        if seeds is not None:
            found.append(self._from_seeds(seeds.to(k.device)))
        longest = max(len(chain.letters) for chain in k.peptides.chains)
        if seeds is None or longest <= _BY_CHANCE:
            found.append(self._from_chance())
        pose, score = join([f.pose for f in found]), torch.cat([f.score for f in found])
        self.population, self.score = _best(pose, score, self.effort.population)
        # copies: generations change the population in place
        self.archive.append(Found(self.population[:30].clone(), self.score[:30].clone()))
        self._best, self._stale = float(self.score.max()), 0

    def _from_seeds(self, pose: Pose) -> Found:
        """The best seeds, improved at full resolution: they are too near to begin lower."""
        k, target = self.kinematics, self.target
        pose = fit_side_chains(k, target, pose, self.generator, self.deadline)
        score = target.evaluate(k.coordinates(pose)[0], gradient=False).score
        self.tried += len(pose)
        pose, score = _best(pose, score, self.effort.population)
        steps = Steps(60, 0.05, 0.04, 0.1)
        pose, score = refine_torsions(k, target, pose, steps, self.deadline)
        # once more, now that the backbone is better
        again, _ = _best(pose, score, _AGAIN)
        again = fit_side_chains(k, target, again, self.generator, self.deadline)
        again, better = refine_torsions(k, target, again, steps, self.deadline)
        return Found(join([pose, again]), torch.cat((score, better)))

    def _from_chance(self) -> Found:
        """The best of random poses, sieved and improved from low to high resolution."""
        k = self.kinematics
        effort = self.effort
        poses: list[Pose] = []
        scores: list[Tensor] = []
        for _ in range(0, effort.screened, _PART):
            drawn = self._drawn(len(poses)).to(k.device)
            xyz = k.coordinates(drawn)[0]
            poses.append(drawn)
            scores.append(self.sieve.evaluate(xyz, gradient=False).score)
            if time.monotonic() > self.deadline:
                break
        self.tried += _PART * len(poses)
        pose, score = join(poses), torch.cat(scores)
        pose, score = _best(pose, score, effort.starts)
        stages = (
            (_COARSE, Steps(40), 0.4),
            (_MIDDLE, Steps(40, 0.08, 0.06, 0.15), 0.4),
            (0.0, Steps(60, 0.05, 0.04, 0.1), 0.0),
        )
        for d, steps, share in stages:
            if d not in self._targets:
                continue
            pose, score = refine_torsions(k, self._targets[d], pose, steps, self.deadline)
            pose, score = _best(pose, score, max(effort.population, round(share * len(score))))
        score = self.target.evaluate(k.coordinates(pose)[0], gradient=False).score
        return Found(*_best(pose, score, effort.population))

    def _drawn(self, part: int) -> Pose:
        """Random poses; where a cell edge could be a sheet's, most parts are strands across it."""
        k, axes = self.kinematics, sheet_axes(self.cell)
        longest = max(len(chain.letters) for chain in k.peptides.chains)
        if not len(axes) or longest < _STRAND or part % _SHEETS == 0:
            return random_poses(k.peptides, _PART, self.cell, self.generator)
        drawn = random_poses(k.peptides, _PART, self.cell, self.generator, STRANDS)
        return lay_strands_across(k, drawn.to(k.device), axes, self.generator)

    def _generation(self) -> None:
        """Change every pose, improve it, and keep it if it is better or hardly worse."""
        k, pose = self.kinematics, self.population
        assert pose is not None
        child = propose(k, pose, self.generator)
        anew = torch.rand(len(pose), generator=self.generator) < _ANEW
        rows = anew.nonzero()[:, 0].to(k.device)
        if len(k.peptides.sequences) > 1 and len(rows):
            size = len(rows) * len(self.places) * self.sieve.n_reflections
            trials = min(max(1, int(_SCAN / size)), _ORIENTATIONS)
            placed = replace_one_chain(
                k, pose[rows], self.sieve, self.places, trials, self.generator
            )
            for values, new in zip(child.parts, placed.parts, strict=True):
                values[rows] = new
        if _MIDDLE in self._targets:
            steps = Steps(25, 0.08, 0.06, 0.15)
            child, _ = refine_torsions(k, self._targets[_MIDDLE], child, steps, self.deadline)
        child, score = refine_torsions(
            k, self.target, child, Steps(35, 0.05, 0.04, 0.1), self.deadline
        )
        chance = torch.rand(len(score), generator=self.generator).to(score)
        taken = chance < ((score - self.score) / _TEMPERATURE).exp()
        for old, new in zip(pose.parts, child.parts, strict=True):
            old[taken] = new[taken]
        self.score = torch.where(taken, score, self.score)
        self.generations += 1
        if self.generations % _COPY_EVERY == 0:
            order = self.score.argsort(descending=True)
            n = len(order) // _COPIED
            drawn = torch.randint(len(order) // 3, (n,), generator=self.generator)
            source = order[drawn.to(order.device)]
            for values in pose.parts:
                values[order[-n:]] = values[source]
            self.score[order[-n:]] = self.score[source]
        best = float(self.score.max())
        self._stale = 0 if best > self._best + 0.002 else self._stale + 1
        self._best = max(best, self._best)


def _best(pose: Pose, score: Tensor, n: int) -> tuple[Pose, Tensor]:
    order = score.argsort(descending=True)[:n]
    return pose[order], score[order]
