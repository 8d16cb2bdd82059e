"""The known-sequence search as a method of the solver: candidates with honest figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.normalisation import epsilon_factors, normalized_amplitudes
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping, enantiomorph
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.dual_space.free_correlation import noise_floor
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.problem import PhaseProblem
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.restrained import polish
from crysformer.phasing.refinement.waters import PARAMETERS, ModelWithWaters, with_waters
from crysformer.phasing.sequence_search.applicability import check_size
from crysformer.phasing.sequence_search.helix_starts import helix_seeds
from crysformer.phasing.sequence_search.population import Found, SequenceSearch

# Reflections held out of the search, where there are enough to spare.
_FREE_SHARE, _FREE_FROM = 0.08, 300
_SAME = 0.75  # F^2-weighted cosine from which two sets of phases are one solution
_COMPARED = 25
_POLISHED = 4
_PROGRESS = 0.003  # of the score, for which it is worth to refine again
_WATERED = 0.2  # confidence from which waters are looked for
_COPY = 1e-4  # scores nearer than this are of one pose
# Log odds of the hand for a difference in log likelihood, and the latter where nothing found has
# the mirrored phases.
_HAND, _NO_MIRROR = 0.1, 40.0


@dataclass(frozen=True, eq=False)
class _Basin:
    """A pose that stands for one solution."""

    pose: Pose
    score: float
    F: NDArray[np.complex128]


class SequenceMethod:
    """One crystal searched with its sequence.

    Parameters
    ----------
    data
        The crystal in its own space group.
    mapping, problem
        Its expansion to P1.
    content
        Sequences, copies and mean B.
    generator
        On the CPU.
    deadline
        `time.monotonic` after which the search stops.
    mirrored
        Whether `data` is in the other member of an enantiomorphic pair, and `mapping` is not.

    Raises
    ------
    TooLarge
        If there is no sequence, or too much of it.
    """

    def __init__(
        self,
        data: CrystalData,
        mapping: P1Mapping,
        problem: PhaseProblem,
        content: CellContent,
        generator: torch.Generator,
        deadline: float,
        *,
        mirrored: bool = False,
    ) -> None:
        """See the class; of an enantiomorphic pair of groups both are searched in turns."""
        sequences = content.sequences * content.copies
        check_size(content)
        self.data, self.mapping, self.problem, self.content = data, mapping, problem, content
        self.deadline = deadline
        self.free = _held_out(data, generator)
        work = replace(data, f=np.where(self.free, np.nan, data.f))

        def seeds(kinematics: Kinematics) -> Pose | None:
            return helix_seeds(work, kinematics, content.b_iso, generator, deadline)

        self.search = SequenceSearch(
            work, sequences, content.b_iso, generator, deadline, problem.device, seeds=seeds
        )
        self._exact = AmplitudeTarget(
            data,
            self.search.kinematics.peptides.number,
            content.b_iso,
            by_element=True,
            device=problem.device,
        )
        self.turns = 0
        self.correlation = 0.0
        self._rated = -math.inf
        partner = enantiomorph(data.space_group)
        self.partner: SequenceMethod | None = None
        if partner is not None and not mirrored:
            self.partner = SequenceMethod(
                replace(data, space_group=partner),
                mapping,
                problem,
                content,
                generator,
                deadline,
                mirrored=True,
            )

    def advance(self, seconds: float) -> list[Candidate]:
        """Search on for about so long; candidates if there is a better pose than before."""
        models = self._models(seconds)
        agreement: dict[str, float] = {}
        if self.partner is not None:
            models += self.partner._models(seconds)
            agreement = {m.data.space_group.xhm(): m.correlation for m in (self, self.partner)}
        return [self._candidate(replace(m, agreement=agreement), f) for m, f in models]

    def _models(self, seconds: float) -> list[tuple[PeptideModel, dict[str, float]]]:
        """The best pose of each of the best basins, refined, with its figures of merit."""
        found = self.search.advance(seconds)
        self.turns += 1
        if not float(found.score[0]) > self._rated + _PROGRESS:
            return []
        self._rated = float(found.score[0])
        basins, mirror = self._basins(found)
        k = self.search.kinematics
        poses = join([b.pose for b in (*basins, *mirror)])
        xyz = k.coordinates(poses)[0]
        polished = polish(self.data, k, xyz, self.content.b_iso, self.deadline)
        target = self.search.target.evaluate(xyz, gradient=False)
        n_data = int(self.data.measured.sum())
        parameters = poses.torsions.shape[1] + 6 * poses.translation.shape[1]
        parameters += polished.parameters
        floor = noise_floor(self.problem)
        chiral = bool(set(k.peptides.codes) - {"G"})
        models = []
        for i, row in enumerate(polished.order.tolist()):
            others, mirrored = [], []
            for j, F in enumerate(polished.F):
                cosine, inverted = self._compared(polished.F[i], F) if i != j else (1.0, False)
                if cosine < _SAME:
                    others.append(float(polished.log_likelihood[j]))
                elif inverted:
                    mirrored.append(float(polished.log_likelihood[j]))
            own = float(polished.log_likelihood[i])
            gap = own - max(others, default=own)
            odds = own - max(mirrored, default=own - _NO_MIRROR)
            figures = {
                "r": float(polished.r[i]),
                "correlation": float(target.correlation[row]),
                "overlap": float(target.overlap[row]),
                "gap": gap / n_data,
                "free_z": self._free_z((*basins, *mirror)[row].F),
                "hand": float(expit(min(max(_HAND * odds, -4.0), 4.0))) if chiral else 0.5,
                "reflections_per_parameter": n_data / parameters,
                "noise": floor,
            }
            model = PeptideModel(
                k.peptides,
                polished.xyz[i].cpu().double().numpy(),
                polished.b_iso[i].cpu().double().numpy(),
                self.data.cell,
                self.data.space_group,
                polished.F[i],
            )
            if i == 0 and polished.parameters and confidence("sequence", figures) > _WATERED:
                watered = with_waters(self.data, k, polished, self.content.b_iso, self.deadline)
                if watered is not None:
                    model, figures = _with_waters(model, figures, watered, n_data)
            models.append((model, figures))
        self.correlation = max(self.correlation, *(f["correlation"] for _, f in models))
        return models

    def _candidate(self, model: PeptideModel, figures: dict[str, float]) -> Candidate:
        own = np.nan_to_num(model.F)
        if model.space_group.xhm() != self.data.space_group.xhm():
            own = own.conj()  # the mirror image obeys the group that was given
        F = np.abs(self.mapping.values(own))
        phi = np.deg2rad(self.mapping.phases(np.rad2deg(np.angle(own))))
        phased = self.problem.to_grid(F * np.exp(1j * phi) / self.problem.scale)
        return Candidate(
            method="sequence",
            F=self.problem.with_amplitudes(phased[None])[0],
            model=phased,
            figures=figures,
            confidence=confidence("sequence", figures),
            positive_fraction=0.0,
            peptide=model,
        )

    def _basins(self, found: Found) -> tuple[list[_Basin], list[_Basin]]:
        """The best poses that differ in their phases, and the mirror image of the very best.

        Those of earlier populations count as well. The second list is empty if nothing found has
        the mirrored phases of the best.
        """
        pose = join([found.pose, *(f.pose for f in self.search.archive)])
        score = torch.cat([found.score, *(f.score for f in self.search.archive)])
        order = score.argsort(descending=True)
        order = order[_different(score[order])]
        # a population may be of one kind: the archive holds others
        order = torch.cat((order[:_COMPARED], order[_COMPARED:][:: _COMPARED // 2][:_COMPARED]))
        F = self._exact.structure_factors(self.search.kinematics.coordinates(pose[order])[0])
        basins: list[_Basin] = []
        mirror: list[_Basin] = []
        for i, row in enumerate(order.tolist()):
            basin = _Basin(pose[slice(row, row + 1)], float(score[row]), F[i])
            alike = [self._compared(F[i], b.F) for b in basins]
            same = [j for j, (cosine, _) in enumerate(alike) if cosine >= _SAME]
            if not same and len(basins) < _POLISHED:
                basins.append(basin)
            elif same and same[0] == 0 and alike[0][1] and not mirror:
                mirror.append(basin)
        return basins, mirror

    def _compared(self, a: NDArray[np.complex128], b: NDArray[np.complex128]) -> tuple[float, bool]:
        """How alike two sets of phases are, and whether one had to be inverted for that."""
        d = self.data
        first, second = (np.rad2deg(np.angle(x)) for x in (a, b))
        found = compare_phases(d.hkl, d.f, first, second, d.cell, d.space_group)
        return found.cosine2_aligned, found.inverted

    def _free_z(self, F: NDArray[np.complex128]) -> float:
        """How far the correlation of |E| held out of the search is above zero, in sigmas."""
        if not self.free.any():
            return 0.0
        d, epsilon = self.data, epsilon_factors(self.data.hkl, self.data.space_group)
        observed = normalized_amplitudes(np.where(d.measured, d.f, np.nan), d.d, epsilon)
        found = normalized_amplitudes(np.abs(F), d.d, epsilon)
        both = np.corrcoef(observed[self.free], found[self.free])[0, 1]
        return float(np.arctanh(np.clip(both, -0.99, 0.99)) * math.sqrt(self.free.sum() - 3))


def _with_waters(
    model: PeptideModel, figures: dict[str, float], watered: ModelWithWaters, n_data: int
) -> tuple[PeptideModel, dict[str, float]]:
    """The model refined with waters, each of which counts as so many parameters more."""
    n, refined = len(model.b_iso), watered.polished
    parameters = n_data / figures["reflections_per_parameter"] + PARAMETERS * watered.n_waters
    xyz, b_iso = (x[0].cpu().double().numpy() for x in (refined.xyz, refined.b_iso))
    model = replace(
        model, xyz=xyz[:n], b_iso=b_iso[:n], F=refined.F[0], waters=xyz[n:], waters_b=b_iso[n:]
    )
    return model, figures | {
        "r": float(refined.r[0]),
        "reflections_per_parameter": n_data / parameters,
    }


def _different(score: Tensor) -> Tensor:
    """Which of descending scores are not copies of the one before."""
    step = torch.cat((score.new_ones(1), score[:-1] - score[1:]))
    return (step > _COPY).nonzero()[:, 0]


def _held_out(data: CrystalData, generator: torch.Generator) -> NDArray[np.bool_]:
    """A random share of the measured reflections, shape (n,); none where data are few."""
    out = np.zeros(len(data), dtype=bool)
    rows = np.flatnonzero(data.measured)
    if len(rows) >= _FREE_FROM:
        chosen = torch.randperm(len(rows), generator=generator)[: round(_FREE_SHARE * len(rows))]
        out[rows[chosen.numpy()]] = True
    return out
