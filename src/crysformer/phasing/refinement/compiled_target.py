"""The amplitude target evaluated by compiled functions, on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from crysformer.compiled import can_compile, over_ranges
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget, Evaluation
from crysformer.phasing.refinement.trigonometric_sums import (
    ReflectionTerms,
    TrigonometricSums,
    trigonometric_sums,
)


class CompiledTarget(AmplitudeTarget):
    """`AmplitudeTarget` whose evaluation is compiled by numba; parameters are the same.

    In float32, correlations and gradients differ from those of `AmplitudeTarget` by rounding errors
    (about 1e-6, gradients relative to the largest). Unlike it, it works on the processor only.

    Attributes
    ----------
    sums
        Constants of the compiled functions.
    """

    def __init__(
        self, data: CrystalData, number: NDArray[np.int64], b_iso: float, *args: Any, **named: Any
    ) -> None:
        super().__init__(data, number, b_iso, *args, **named)
        self._symmetry, self._data_to_frac = operators(data.space_group), data.to_frac
        self.sums = self.sums_in(np.float32)

    def sums_in(self, dtype: DTypeLike) -> TrigonometricSums:
        """Constants of the compiled functions in another floating-point type."""

        def counted(values: Tensor) -> NDArray[np.float64]:
            return values.double().numpy()[..., used]

        used = ((self.weight > 0) | (self.pairs > 0)).numpy()
        scattering = torch.stack([f for _, _, f in self.groups])
        terms = ReflectionTerms(
            self.box.hkl[used],
            counted(self.weight),
            counted(self.observed),
            counted(self.pairs),
            counted(scattering),
        )
        atoms = [(rows.numpy(), weight.double().numpy()) for rows, weight, _ in self.groups]
        return trigonometric_sums(
            terms, self._symmetry, self.box.axes, self._data_to_frac, atoms, self.overlap, dtype
        )

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Correlation, shape (B,), of Cartesian coordinates (B, n, 3), A, and its gradient."""
        from crysformer.phasing.refinement.compiled_sums import evaluate_batch

        atoms = xyz.contiguous().numpy()
        rated = np.empty((len(atoms), 3), dtype=atoms.dtype)
        force = np.empty(atoms.shape if gradient else (0, *atoms.shape[1:]), dtype=atoms.dtype)

        def part(rows: slice) -> None:
            evaluate_batch(self.sums, atoms[rows], rated[rows], force[rows])

        over_ranges(part, len(atoms))
        values = torch.from_numpy(rated)
        slope = torch.from_numpy(force) if gradient else None
        return Evaluation(values[:, 0], values[:, 1], values[:, 2], slope)


def target_class(device: torch.device | str) -> type[AmplitudeTarget]:
    """The faster class of targets for a device: compiled on the processor, if numba is there."""
    on_processor = torch.device(device).type == "cpu"
    return CompiledTarget if on_processor and can_compile() else AmplitudeTarget
