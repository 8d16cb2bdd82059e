"""Methods of a figure measured on the same test crystals, each kept when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crysformer.data.store import Split
from crysformer.errors import UsageError
from crysformer.evaluation.experiments.run import PHASING
from crysformer.evaluation.experiments.setting import ROWS, read_piece
from crysformer.evaluation.methods import Settings
from crysformer.evaluation.runner import evaluate
from crysformer.files import write_json
from crysformer.models.weights import weights_path
from crysformer.models.weights_description import network, read_info


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes
    ----------
    name
        In legends and on the command line.
    method
        Key of `evaluation.methods.METHODS`.
    weights
        Of a network method; None for those packaged weights that fit.
    """

    name: str
    method: str
    weights: str | None = None


def curves_of(weights: Sequence[str], phasing: Sequence[str] = PHASING) -> list[Curve]:
    """One pass of each network, its recycled prediction if it recycles, and phasing methods.

    Parameters
    ----------
    weights
        ``FILE`` or ``NAME=FILE`` of each network, packaged names as well; empty for the packaged
        weights that fit.
    phasing
        Methods without a network.

    Raises
    ------
    UsageError
        If there are no such weights, or two have one name.
    """
    curves = []
    for one in weights or ("",):
        name, equals, file = one.partition("=")
        file = file if equals else one
        if not file:
            curves += [
                Curve("network, one pass", "network-one-pass"),
                Curve("network, recycled", "network"),
            ]
            continue
        path = weights_path(file)
        name = name if equals else path.stem
        recycles = network(read_info(path), str(path)).recycling
        curves.append(Curve(f"{name}, one pass" if recycles else name, "network-one-pass", file))
        if recycles:
            curves.append(Curve(f"{name}, recycled", "network", file))
    curves += [Curve(method.replace("-", " "), method) for method in phasing]
    names = [curve.name for curve in curves]
    if len(set(names)) < len(names):
        raise UsageError(f"two of {', '.join(names)} have one name; give NAME=FILE")
    return curves


def measure_curves(
    curves: Sequence[Curve],
    data: str | Path,
    folder: Path,
    settings: Settings,
    split: Split,
    limit: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure every curve that is not in the folder yet.

    Parameters
    ----------
    curves
        What is measured.
    data
        Data set.
    folder
        Output folder; a file of its `ROWS` holds each complete curve.
    settings
        Seed and device; the time limit is for each crystal.
    split, limit
        Crystals, drawn at random by the seed.
    progress
        Called with a line of text before each curve.

    Returns
    -------
    list
        For each curve ``metrics``, as of `crysformer evaluate`, and ``examples`` with the id,
        sequence and PC of each crystal.

    Raises
    ------
    CrysformerError
        If a method applies to none of the crystals.
    """
    found = []
    for number, curve in enumerate(curves):
        path = folder / ROWS / f"{number:02}-{curve.method}.json"
        if not path.is_file():
            progress(f"{curve.name}: {limit} crystals")
            own = Settings(settings.time_limit, settings.seed, settings.device, curve.weights)
            evaluation = evaluate(data, curve.method, split, limit, settings=own)
            examples = [
                {"id": e.id, "sequence": e.sequence, "pc": e.score.pc} for e in evaluation.examples
            ]
            write_json(path, {"metrics": evaluation.metrics(), "examples": examples})
        found.append(read_piece(path))
    return found
