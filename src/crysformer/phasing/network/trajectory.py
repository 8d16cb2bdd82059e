"""Recycling runs of a network on one crystal, and the best trajectory among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.grids import patterson_from_grid
from crysformer.crystal.reflections import CrystalData
from crysformer.models.device import pick_device
from crysformer.models.orientations import predict_averaged
from crysformer.models.recycling import recycle_to_convergence
from crysformer.models.weights import shared_weights
from crysformer.peptide import residues
from crysformer.phasing.network.applicability import (
    check_applicable,
    check_completeness,
    fitting_weights,
)
from crysformer.phasing.network.convergence import Convergence
from crysformer.phasing.network.frame import NetworkFrame

# Probabilities of a trajectory from which it is the prediction, and from which no other is tried.
_LIKELY, _CERTAIN = 0.5, 0.95


@dataclass(frozen=True, eq=False)
class Trajectory:
    """End of the best recycling run of a network, and how far it can be trusted.

    Attributes
    ----------
    single
        Prediction of one pass, in the network's frame, shape (U, V, W), e/A^3.
    density
        Last prediction of the best run, likewise; origin and hand as they came. Equal to `single`
        if the network does not recycle.
    agreement
        Correlation (about zero) of its amplitudes with the measured ones; 0 without recycling.
    probability_correct
        Probability that it is right, up to origin and hand; 0 without recycling.
    recycled
        False if it is a single prediction.
    needed
        Agreement from which it would count as converged; infinite if none would.
    """

    single: Tensor
    density: Tensor
    agreement: float = 0.0
    probability_correct: float = 0.0
    needed: float = math.inf
    recycled: bool = False

    @property
    def converged(self) -> bool:
        """True if the run more likely than not ended at the structure."""
        return self.probability_correct >= _LIKELY


class NetworkRunner:
    """A network, the weights that fit, and one crystal in its frame.

    Parameters
    ----------
    data
        A crystal in P1.
    sequences
        Its one chain.
    weights
        Packaged name or file; the packaged weights that fit by default.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"`` or a device.

    Raises
    ------
    NotApplicable
        If the crystal is not of the kind the network was trained on.
    """

    def __init__(
        self,
        data: CrystalData,
        sequences: Sequence[str],
        weights: str | Path | None = None,
        device: torch.device | str = "auto",
    ) -> None:
        name = fitting_weights(data, sequences) if weights is None else weights
        loaded = shared_weights(name, pick_device(device))
        check_applicable(data, sequences, loaded.info)
        self.data, self.sequence = data, sequences[0]
        self.weights, self.info = str(name), loaded.info
        self.preset = str(loaded.info.get("preset", loaded.name))
        self.model = loaded.model
        self.config = loaded.model.config
        self.frame = NetworkFrame.of(
            data, self.sequence, self.config, loaded.info.get("wilson_scale", 1.0)
        )
        check_completeness(self.frame, loaded.info)
        device = self.model.templates.device
        F = self.frame.amplitudes.to(torch.complex64)[None]
        patterson = patterson_from_grid(F, self.frame.shape, self.frame.volume)
        self.patterson = patterson[None].to(device)
        codes = residues.encode(self.sequence).astype(np.int64)
        self.codes = torch.from_numpy(codes)[None].to(device)
        self.lengths = torch.tensor([self.frame.lengths], device=device)
        self.measured = self.frame.measured[None].to(device) if self.config.conditions else None

    @property
    def batch_key(self) -> tuple[str, tuple[int, ...]]:
        """Crystals with the same key can be predicted together: weights and grid."""
        return self.weights, self.frame.shape

    def predict(self, estimate: Tensor | None = None) -> Tensor:
        """One pass, averaged over the equivalent orientations, shape (1, 1, U, V, W)."""
        return predict_averaged(
            self.model, self.patterson, self.codes, self.lengths, estimate, measured=self.measured
        )

    def single_pass(self) -> Trajectory:
        """One evaluation of the network in one orientation."""
        return single_passes([self])[0]

    @torch.no_grad()
    def run(self, generator: torch.Generator, deadline: float = math.inf) -> Trajectory:
        """Recycle from random phase errors and keep the best trajectory.

        Parameters
        ----------
        generator
            Random phase errors that the runs start with, on the CPU.
        deadline
            `time.monotonic` after which no further runs are begun.
        """
        first = self.predict()
        single = first[0, 0].cpu()
        if not self.config.recycling:
            return Trajectory(single, single)
        convergence, chains = Convergence.of(self.info), (self.sequence,)
        # the stricter of the fitted threshold and that of exact data ends the search
        enough = max(c.enough(_CERTAIN, self.data, chains) for c in (convergence, Convergence()))
        found, agreement = recycle_to_convergence(
            self.model,
            first,
            self.patterson,
            self.codes,
            self.lengths,
            generator,
            deadline,
            self.measured,
            enough,
        )
        return Trajectory(
            single,
            found[0, 0].cpu(),
            agreement,
            convergence.probability(agreement, self.data, chains),
            convergence.enough(_LIKELY, self.data, chains),
            recycled=True,
        )

    def coefficients(self, density: Tensor) -> NDArray[np.complex128]:
        """Fourier transform of a map (U, V, W) at the rows of the data, shape (n,)."""
        return self.frame.coefficients(density, self.data.hkl)


@torch.no_grad()
def single_passes(runners: Sequence[NetworkRunner]) -> list[Trajectory]:
    """One evaluation of a network in one orientation for several crystals at once.

    Parameters
    ----------
    runners
        Crystals on one grid (`NetworkRunner.batch_key`).
    """
    first = runners[0]
    measured = None
    if first.measured is not None:
        measured = torch.cat([r.measured for r in runners if r.measured is not None])
    density: Tensor = first.model(
        torch.cat([r.patterson for r in runners]),
        torch.cat([r.codes for r in runners]),
        torch.cat([r.lengths for r in runners]),
        None,
        measured,
    ).float()
    return [Trajectory(one, one) for one in density[:, 0].cpu()]
