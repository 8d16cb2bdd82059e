"""R factors of working and free reflections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells


@dataclass(frozen=True)
class ShellRFactors:
    """R factors in one shell of resolution.

    Attributes
    ----------
    d_max, d_min
        Its limits, A.
    n_work, n_free
        Measured reflections.
    r_work, r_free
        NaN where there are no reflections.
    """

    d_max: float
    d_min: float
    n_work: int
    n_free: int
    r_work: float
    r_free: float


@dataclass(frozen=True)
class RFactors:
    """R factors sum | |Fo| - |Fm| | / sum |Fo| of a scaled model.

    Attributes
    ----------
    r_work, r_free
        Of working and free reflections; NaN where there are none.
    n_work, n_free
        Measured reflections.
    r_free_error
        Standard error of `r_free`, R / sqrt(2 n) (Tickle, Laskowski & Moss, Acta Cryst. D56, 442,
        2000); NaN without free reflections.
    shells
        From low to high resolution, equally many reflections in each.
    folds
        Number of refinements that `r_free` is pooled from, each with another free set; 1 for an
        ordinary R-free.
    r_all
        Of all measured reflections; for pooled R-free, the mean over the refinements.
    """

    r_work: float
    r_free: float
    n_work: int
    n_free: int
    r_free_error: float
    shells: tuple[ShellRFactors, ...]
    folds: int = 1
    r_all: float = math.nan

    def to_summary(self) -> dict[str, Any]:
        """The entries of ``refinement`` in summary.json; not finite becomes None."""
        summary = {
            "r_work": self.r_work,
            "r_free": self.r_free,
            "n_work": self.n_work,
            "n_free": self.n_free,
            "r_free_error": self.r_free_error,
            "r_free_folds": self.folds,
            "shells": [
                {name: _plain(x) for name, x in asdict(shell).items()} for shell in self.shells
            ],
        }
        return {name: _plain(x) for name, x in summary.items()}

    def to_fold_summary(self) -> dict[str, Any]:
        """The entry ``r_free_k_fold`` of ``refinement``, of R factors pooled over folds."""
        summary = self.to_summary()
        names = ("r_work", "r_free", "r_free_error")
        return {**{name: summary[name] for name in names}, "folds": self.folds}

    def text(self) -> str:
        """The R factors in words, such as ``"Rwork 0.183, Rfree 0.190 +- 0.030 (20 free)"``."""
        work = f"Rwork {self.r_work:.3f}"
        if not self.n_free:
            return f"{work}, no free reflections"
        how = f"{self.n_free} free" if self.folds == 1 else f"{self.folds}-fold"
        return f"{work}, Rfree {self.r_free:.3f} +- {self.r_free_error:.3f} ({how})"


def r_factors(
    data: CrystalData,
    free: FreeSet,
    F_model: NDArray[np.complex128] | NDArray[np.float64],
    n_shells: int | None = None,
) -> RFactors:
    """R factors of a model that is on the scale of the data.

    Parameters
    ----------
    data
        The crystal.
    free
        Its free set.
    F_model
        Structure factors or their amplitudes, shape (n,), as `ScaledModel.F_model`.
    n_shells
        Shells of resolution; by default one for every 200 reflections, 1 to 20.
    """
    return _r_factors(data, [free], [np.abs(F_model)], n_shells)


def k_fold_r_factors(
    data: CrystalData,
    folds: Sequence[FreeSet],
    F_models: Sequence[NDArray[np.complex128]],
    n_shells: int | None = None,
) -> RFactors:
    """R factors pooled over refinements, each without another part of the data.

    Every reflection that is free in one of them counts once in R-free, with the model that was
    refined without it (Brunger, Methods Enzymol. 277, 366, 1997); R-work is that of all of them.

    Parameters
    ----------
    data
        The crystal.
    folds
        Disjoint free sets, as `crysformer.crystal.free_set.folds` gives them.
    F_models
        Scaled structure factors of the model refined without each, shape (n,).
    n_shells
        As `r_factors`.
    """
    if len(folds) != len(F_models) or not folds:
        raise ValueError(f"{len(F_models)} models for {len(folds)} free sets, expected one each")
    return _r_factors(data, folds, [np.abs(F) for F in F_models], n_shells)


def _r_factors(
    data: CrystalData,
    sets: Sequence[FreeSet],
    amplitudes: Sequence[NDArray[np.float64]],
    n_shells: int | None,
) -> RFactors:
    measured = data.measured
    observed = np.where(measured, data.f, 0.0)
    n = len(data)
    # sums of each reflection over the sets in which it is working, and in which it is free
    difference, amplitude, count = np.zeros((2, n)), np.zeros((2, n)), np.zeros((2, n), dtype=int)
    for chosen, calculated in zip(sets, amplitudes, strict=True):
        deviation = np.where(measured, np.abs(observed - calculated), 0.0)
        for i, flags in enumerate((measured & ~chosen.free, measured & chosen.free)):
            difference[i] += np.where(flags, deviation, 0.0)
            amplitude[i] += np.where(flags, observed, 0.0)
            count[i] += flags

    def r(i: int, rows: NDArray[np.int64] | slice) -> float:
        total = float(amplitude[i, rows].sum())
        return float(difference[i, rows].sum()) / total if total > 0 else math.nan

    shells = []
    d = data.d
    for rows in resolution_shells(
        d**-2.0, per_shell=200, most=20, used=measured, n_shells=n_shells
    ):
        if not len(rows):
            continue
        limits = float(d[rows].max()), float(d[rows].min())
        n_work, n_free = int((count[0, rows] > 0).sum()), int((count[1, rows] > 0).sum())
        shells.append(ShellRFactors(*limits, n_work, n_free, r(0, rows), r(1, rows)))
    n_free, r_free = int((count[1] > 0).sum()), r(1, slice(None))
    return RFactors(
        r_work=r(0, slice(None)),
        r_free=r_free,
        n_work=int((count[0] > 0).sum()),
        n_free=n_free,
        r_free_error=r_free / math.sqrt(2 * n_free) if n_free else math.nan,
        shells=tuple(shells),
        folds=len(sets),
        r_all=float(difference.sum() / amplitude.sum()) if amplitude.sum() > 0 else math.nan,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
