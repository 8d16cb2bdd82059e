"""Words of messages that depend on numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def counted(n: int, singular: str, plural: str = "") -> str:
    """A number with its noun, as ``1 crystal`` and ``2 crystals``.

    Parameters
    ----------
    n
        The number.
    singular
        The noun, with what follows it, for 1.
    plural
        The same for other numbers; by default the singular with an s.
    """
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


def r_factors_text(refinement: Mapping[str, Any]) -> str:
    """R factors of the entry ``refinement`` of summary.json, as ``Rwork 0.183, Rfree 0.190``.

    With k-fold R factors, R-free is theirs, beside the mean R-work of the same refinements.
    """
    work = f"Rwork {refinement['r_work']:.3f}"
    fold = refinement.get("r_free_k_fold")
    if fold:
        of_folds = f"Rwork {fold['r_work']:.3f}, Rfree {fold['r_free']:.3f}"
        return f"{work}; {fold['folds']}-fold {of_folds}{_error(fold)}"
    if refinement.get("r_free") is None:
        return f"{work}, no free reflections"
    r_free = f"Rfree {refinement['r_free']:.3f}{_error(refinement)}"
    return f"{work}, {r_free} ({refinement['n_free']} free)"


def _error(figures: Mapping[str, Any]) -> str:
    error = figures.get("r_free_error")
    return "" if error is None else f" +- {error:.3f}"
