"""Known-sequence search in one space group: from a population to rated peptide models."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.normalisation import epsilon_factors, normalized_amplitudes
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.budget import Budget
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.merit.figures import SequenceFigures
from crysformer.phasing.merit.r_factor import noise_floor
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.restrained import RefinedModels, refine_restrained
from crysformer.phasing.refinement.waters import PARAMETERS_PER_WATER, ModelWithWaters, with_waters
from crysformer.phasing.sequence_search.compared_phases import ComparedPhases, phase_agreement
from crysformer.phasing.sequence_search.helix_starts import helix_starts
from crysformer.phasing.sequence_search.population import Population, RankedPoses
from crysformer.phasing.sequence_search.settings import SequenceSettings

_SAME_PHASES = 0.75  # F^2-weighted cosine from which two sets of phases are one solution
_MIN_GAIN = 0.003  # of the score, for which the best poses are refined again
_MIN_HELD_OUT = 3  # reflections, of which the standard deviation of a correlation is known
_SAME_SCORE = 1e-4  # scores nearer than this are of one pose
# Log odds of the hand for a difference in log likelihood, its limit, and the difference where
# nothing found has the mirrored phases.
_HAND_PER_LIKELIHOOD, _MAX_HAND_LOG_ODDS, _NO_MIRROR = 0.1, 4.0, 40.0


@dataclass(frozen=True, eq=False)
class RatedModel:
    """A refined peptide model with its figures of merit.

    Attributes
    ----------
    model
        In the space group that was searched.
    figures
        Figures of merit.
    hand_log_odds
        Log odds of its hand against that of models with mirrored phases.
    """

    model: PeptideModel
    figures: SequenceFigures
    hand_log_odds: float


@dataclass(frozen=True, eq=False)
class _PoseCluster:
    """A pose that stands for all with the same phases."""

    pose: Pose
    F: NDArray[np.complex128]


class GroupSearch:
    """A population in one space group, and what its best poses are worth.

    Parameters
    ----------
    problem
        The crystal.
    group
        The space group to search in: the crystal's own or the other one of an enantiomorphic pair.
    settings
        Of the search.
    budget
        Random numbers and deadline of the first turn.
    """

    def __init__(
        self,
        problem: PhasingProblem,
        group: gemmi.SpaceGroup,
        settings: SequenceSettings,
        budget: Budget,
    ) -> None:
        content, generator = problem.content, budget.generator
        self.settings, self._noise = settings, noise_floor(problem.grid)
        self.b_iso = content.b_iso
        self.data = data = replace(problem.data, space_group=group)
        self.free = _held_out(data, settings, generator)
        work = replace(data, f=np.where(self.free, np.nan, data.f))

        def first_poses(kinematics: Kinematics) -> Pose | None:
            return helix_starts(
                work,
                kinematics,
                content.b_iso,
                generator,
                budget.deadline,
                settings=settings.helix_starts,
            )

        self.population = Population(
            work,
            content.sequences * content.copies,
            content.b_iso,
            generator,
            budget.deadline,
            problem.device,
            settings,
            first_poses,
        )
        self._exact = AmplitudeTarget(
            data,
            self.population.kinematics.peptides.number,
            content.b_iso,
            by_element=True,
            device=problem.device,
        )
        self.correlation = 0.0
        self._rated = -math.inf

    def advance(self, budget: Budget) -> list[RatedModel]:
        """Continue the search; if a better pose was found, the best distinct models, refined."""
        found = self.population.advance(budget.until, budget.deadline)
        if not float(found.score[0]) > self._rated + _MIN_GAIN:
            return []
        self._rated = float(found.score[0])
        clusters, mirrored = self._clusters(found, budget)
        models = self._refined([*clusters, *mirrored], budget)
        self.correlation = max(self.correlation, *(m.figures.correlation for m in models))
        return models

    def rated(self, pose: Pose, budget: Budget) -> RatedModel:
        """One pose, from wherever it comes, refined and rated without others beside it."""
        F = self._exact.structure_factors(self.population.kinematics.coordinates(pose)[0])
        return self._refined([_PoseCluster(pose, F[0])], budget)[0]

    def _refined(self, clusters: list[_PoseCluster], budget: Budget) -> list[RatedModel]:
        """Refine one pose of each cluster with restraints and rate the models, best first."""
        k = self.population.kinematics
        poses = join([cluster.pose for cluster in clusters])
        xyz = k.coordinates(poses)[0]
        refined = refine_restrained(
            self.data, k, xyz, self.b_iso, budget.deadline, settings=self.settings.restrained
        )
        target = self.population.target.evaluate(xyz, gradient=False)
        n_data = int(self.data.measured.sum())
        parameters = poses.torsions.shape[1] + 6 * poses.translation.shape[1]
        parameters += refined.parameters
        rated: list[RatedModel] = []
        alike = ComparedPhases(self.data, refined.F)
        for i, row in enumerate(refined.order.tolist()):
            if rated and budget.out_of_time:
                break
            gain, hand_log_odds = self._against_others(refined, i, alike)
            figures = SequenceFigures(
                r=float(refined.r[i]),
                correlation=float(target.correlation[row]),
                overlap=float(target.overlap[row]),
                log_likelihood_gain=gain / n_data,
                z_free_correlation=self._z_free_correlation(clusters[row].F),
                reflections_per_parameter=n_data / parameters,
                noise=self._noise,
            )
            model = PeptideModel(
                k.peptides,
                refined.xyz[i].cpu().double().numpy(),
                refined.b_iso[i].cpu().double().numpy(),
                self.data.cell,
                self.data.space_group,
                refined.F[i],
            )
            worth_waters = confidence(figures) > self.settings.waters_confidence
            if i == 0 and refined.parameters and worth_waters:
                watered = with_waters(
                    self.data,
                    k,
                    refined,
                    self.b_iso,
                    budget.deadline,
                    settings=self.settings.waters,
                    restrained=self.settings.restrained,
                )
                if watered is not None:
                    model, figures = _with_waters(model, figures, watered, n_data)
            rated.append(RatedModel(model, figures, hand_log_odds))
        return rated

    def _against_others(
        self, refined: RefinedModels, i: int, alike: ComparedPhases
    ) -> tuple[float, float]:
        """Log-likelihood gain over models with other phases, and log odds of the hand."""
        others, mirrored = [], []
        for j in range(len(refined.F)):
            cosine, inverted = alike.of(i, j)
            if cosine < _SAME_PHASES:
                others.append(float(refined.log_likelihood[j]))
            elif inverted:
                mirrored.append(float(refined.log_likelihood[j]))
        own = float(refined.log_likelihood[i])
        gain = own - max(others, default=own)
        if not set(self.population.kinematics.peptides.codes) - {"G"}:
            return gain, 0.0  # no residue is chiral
        odds = _HAND_PER_LIKELIHOOD * (own - max(mirrored, default=own - _NO_MIRROR))
        return gain, min(max(odds, -_MAX_HAND_LOG_ODDS), _MAX_HAND_LOG_ODDS)

    def _clusters(
        self, found: RankedPoses, budget: Budget
    ) -> tuple[list[_PoseCluster], list[_PoseCluster]]:
        """The best poses that differ in their phases, and the mirror image of the very best.

        Poses of earlier populations count as well. The second list is empty if nothing found has
        the mirrored phases of the best.
        """
        archive = self.population.archive
        pose = join([found.pose, *(f.pose for f in archive)])
        score = torch.cat([found.score, *(f.score for f in archive)])
        order = score.argsort(descending=True)
        order = order[_different(score[order])]
        # a population may be of one kind: the archive holds others
        n = self.settings.compared
        order = torch.cat((order[:n], order[n:][:: max(1, n // 2)][:n]))
        F = self._exact.structure_factors(self.population.kinematics.coordinates(pose[order])[0])
        clusters: list[_PoseCluster] = []
        mirrored: list[_PoseCluster] = []
        for i, row in enumerate(order.tolist()):
            if clusters and budget.out_of_time:
                break
            cluster = _PoseCluster(pose[slice(row, row + 1)], F[i])
            alike = [phase_agreement(self.data, F[i], c.F) for c in clusters]
            same = [j for j, (cosine, _) in enumerate(alike) if cosine >= _SAME_PHASES]
            if not same and len(clusters) < self.settings.refined:
                clusters.append(cluster)
            elif same and same[0] == 0 and alike[0][1] and not mirrored:
                mirrored.append(cluster)
        return clusters, mirrored

    def _z_free_correlation(self, F: NDArray[np.complex128]) -> float:
        """Correlation of |E| held out of the search, in standard deviations above zero."""
        if self.free.sum() <= _MIN_HELD_OUT:
            return 0.0
        d, epsilon = self.data, epsilon_factors(self.data.hkl, self.data.space_group)
        observed = normalized_amplitudes(np.where(d.measured, d.f, np.nan), d.d, epsilon)
        calculated = normalized_amplitudes(np.abs(F), d.d, epsilon)
        both = np.corrcoef(observed[self.free], calculated[self.free])[0, 1]
        return float(np.arctanh(np.clip(both, -0.99, 0.99)) * math.sqrt(self.free.sum() - 3))


def _with_waters(
    model: PeptideModel, figures: SequenceFigures, watered: ModelWithWaters, n_data: int
) -> tuple[PeptideModel, SequenceFigures]:
    """The model refined with waters, whose parameters count as well."""
    n, refined = len(model.b_iso), watered.refined
    parameters = (
        n_data / figures.reflections_per_parameter + PARAMETERS_PER_WATER * watered.n_waters
    )
    xyz, b_iso = (x[0].cpu().double().numpy() for x in (refined.xyz, refined.b_iso))
    model = replace(
        model, xyz=xyz[:n], b_iso=b_iso[:n], F=refined.F[0], waters=xyz[n:], waters_b=b_iso[n:]
    )
    return model, replace(
        figures, r=float(refined.r[0]), reflections_per_parameter=n_data / parameters
    )


def _different(score: Tensor) -> Tensor:
    """Rows of descending scores that are not copies of the one before."""
    step = torch.cat((score.new_ones(1), score[:-1] - score[1:]))
    return (step > _SAME_SCORE).nonzero()[:, 0]


def _held_out(
    data: CrystalData, settings: SequenceSettings, generator: torch.Generator
) -> NDArray[np.bool_]:
    """Random fraction of the measured reflections, shape (n,); none where they are few."""
    out = np.zeros(len(data), dtype=bool)
    rows = np.flatnonzero(data.measured)
    if len(rows) >= settings.held_out_from:
        n = round(settings.held_out * len(rows))
        out[rows[torch.randperm(len(rows), generator=generator)[:n].numpy()]] = True
    return out
