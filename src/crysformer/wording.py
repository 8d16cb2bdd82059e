"""Words of messages that depend on numbers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

#: Probability of the hand up to which it is undetermined; 0.5 is none of the two.
UNDETERMINED: Final = 0.55


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


def option(parameter: str) -> str:
    """The option of the command line that is named like a parameter of Python."""
    return f"-{parameter}" if len(parameter) == 1 else "--" + parameter.replace("_", "-")


def build_command(folder: Path, sequence: str = "") -> str:
    """The command that builds a model in the folder of a solution, quoted for a shell.

    Parameters
    ----------
    folder
        Folder of the solution.
    sequence
        Another sequence than that of the solution.
    """
    chosen = [option("sequence"), sequence] if sequence else []
    return shlex.join(["crysformer", "build", str(folder), *chosen, option("o"), "NEW"])


def hand_text(probability: float) -> str:
    """How sure the hand is, of a space group that has one."""
    if probability <= UNDETERMINED:
        return "undetermined"
    return f"as written with probability {probability:.2f}"


def r_factors_text(refinement: Mapping[str, Any]) -> str:
    """R factors of the entry ``refinement`` of summary.json, as ``Rwork 0.183, Rfree 0.190``.

    With k-fold R factors, R-free is theirs, beside the mean R-work of the same refinements.
    """
    work = f"Rwork {refinement['r_work']:.3f}"
    fold = refinement.get("r_free_k_fold")
    if fold:
        of_folds = f"Rwork {fold['r_work']:.3f}, Rfree {r_free_text(refinement)}"
        return f"{work}; {fold['folds']}-fold {of_folds}"
    if refinement.get("r_free") is None:
        return f"{work}, no free reflections"
    return f"{work}, Rfree {r_free_text(refinement)} ({refinement['n_free']} free)"


def r_free_text(refinement: Mapping[str, Any]) -> str:
    """R-free, k-fold where there is one, with its error; empty without free reflections."""
    figures = refinement.get("r_free_k_fold") or refinement
    if figures.get("r_free") is None:
        return ""
    error = figures.get("r_free_error")
    return f"{figures['r_free']:.3f}" + ("" if error is None else f" +- {error:.3f}")
