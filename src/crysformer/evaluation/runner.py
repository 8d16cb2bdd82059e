"""Run one method over a test set of synthetic crystals."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentStore, FragmentTable, Split
from crysformer.data.synthetic.p1_crystal import single
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.methods import BATCHED, METHODS, BatchMethod, Method, Phasing, Settings
from crysformer.evaluation.scoring import Score, mean_scores, pooled_shells, score
from crysformer.files import atomic_path
from crysformer.version import __version__

#: Crystals that are given to a method that takes many: enough for full batches of each grid.
_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class Example:
    """One crystal of the test set, with the phases found and their score."""

    id: str
    sequence: str
    phasing: Phasing
    score: Score

    def row(self) -> dict[str, str | float | bool | None]:
        """Row of the per-example table."""
        figures = {k: v for k, v in asdict(self.score).items() if not k.startswith("shell_")}
        return {
            "id": self.id,
            "sequence": self.sequence,
            **figures,
            "solved": self.score.solved,
            "claimed": self.phasing.claimed,
            "confidence": self.phasing.confidence,
            "seconds": self.phasing.seconds,
            "not_applicable": self.phasing.not_applicable,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A method's results on a test set: recipe and SHA-256 are those of its fragments."""

    method: str
    split: Split
    seed: int
    quality: DataQuality
    examples: Sequence[Example]
    recipe: str = ""
    data_sha256: str = ""

    def metrics(self) -> dict[str, Any]:
        """Means over the test set, as written to metrics.json."""
        scores = [example.score for example in self.examples]
        phasings = [example.phasing for example in self.examples]

        solved = np.array([s.solved for s in scores])
        metrics: dict[str, Any] = {
            "method": self.method,
            "split": self.split,
            "recipe": self.recipe,
            "data_sha256": self.data_sha256,
            "version": __version__,
            "n": len(self.examples),
            "n_not_applicable": sum(bool(p.not_applicable) for p in phasings),
            "seed": self.seed,
            "d_min": self.quality.d_min,
            "amplitude_error": self.quality.amplitude_error,
            "completeness": self.quality.completeness,
            **mean_scores(scores),
            "solved_share": float(solved.mean()),
            "right_hand_share": float(np.mean([not s.inverted for s in scores])),
            "seconds": float(np.mean([p.seconds for p in phasings])),
            "seconds_max": float(np.max([p.seconds for p in phasings])),
            "shells": self.shells(),
        }
        if any(p.claimed is not None for p in phasings):
            # A method that declines a crystal claims nothing.
            claimed = np.array([bool(p.claimed) for p in phasings])
            metrics["claimed_share"] = float(claimed.mean())
            metrics["false_claims"] = int((claimed & ~solved).sum())
        return metrics

    def shells(self) -> list[dict[str, Any]]:
        """Aligned phase errors by resolution, pooled over the reflections of all crystals."""
        return pooled_shells([example.score for example in self.examples], self.quality.d_min)


def write_table(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Write one CSV row for each method and example."""
    rows = [
        {"method": evaluation.method, **example.row()}
        for evaluation in evaluations
        for example in evaluation.examples
    ]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def evaluate(
    data_dir: str | Path,
    method: str,
    split: Split = "test",
    limit: int | None = None,
    quality: DataQuality | None = None,
    settings: Settings | None = None,
    progress: Callable[[float, str], None] | None = None,
    run: Method | None = None,
) -> Evaluation:
    """Phase test crystals with one method and compare with the truth.

    Parameters
    ----------
    data_dir
        A data set made by ``crysformer dataset build``.
    method
        A key of `METHODS`, or the name of `run`.
    split
        Split that the fragments are taken from.
    limit
        Largest number of crystals, drawn at random without replacement.
    quality
        Quality of their data; by default exact and complete to 1.5 A.
    settings
        Time limit, seed and device for the method.
    progress
        Called with the fraction done and a line of text after each crystal.
    run
        Another method than those of `METHODS`.

    Returns
    -------
    Evaluation

    Raises
    ------
    UsageError
        If there is no such method.
    InputError
        If the folder is no data set, or the split is empty.
    CrysformerError
        If the method applies to none of the crystals. Otherwise crystals to which it does not
        apply count as crystals without phases.
    """
    if run is None and method not in METHODS:
        raise UsageError(f"`method` is {method!r}: expected one of {', '.join(METHODS)}")
    phase, together = _phasing_of(method, run)
    quality, settings = quality or DataQuality(), settings or Settings()
    store = FragmentStore.open(data_dir)
    table = store.table(split)
    chosen = choose(table, limit, settings.seed, data_dir)
    examples: list[Example] = []
    for start in range(0, len(chosen), together):
        rows = chosen[start : start + together].tolist()
        crystals = [crystal_of(table, row, store.recipe, quality, settings.seed) for row in rows]
        phasings = phase([(crystal.data, crystal.sequence) for crystal in crystals], settings)
        for crystal, phasing in zip(crystals, phasings, strict=True):
            examples.append(_scored(crystal, phasing, quality))
            if progress is not None:
                fraction = float(np.mean([e.score.solved for e in examples]))
                done = f"{len(examples)} of {len(chosen)}, {fraction:.0%} solved"
                progress(len(examples) / len(chosen), done)
    if all(example.phasing.not_applicable for example in examples):
        raise CrysformerError(f"{method}: {examples[0].phasing.not_applicable}")
    return Evaluation(
        method, split, settings.seed, quality, examples, store.recipe.name, store.fragments_hash
    )


def choose(
    table: FragmentTable, limit: int | None, seed: int, data_dir: str | Path
) -> NDArray[np.int64]:
    """Draw rows of a split at random without replacement, in ascending order."""
    if len(table) == 0:
        raise InputError(f"{data_dir}: no {table.split} fragments; choose another split")
    if limit is not None and limit < 1:
        raise UsageError(f"`limit` is {limit}: expected at least 1")
    count = len(table) if limit is None else min(limit, len(table))
    return np.sort(np.random.default_rng(seed).permutation(len(table))[:count])


def _phasing_of(method: str, run: Method | None) -> tuple[BatchMethod, int]:
    """A method for several crystals, and how many it is given at a time."""
    if run is None and method in BATCHED:
        return BATCHED[method], _TOGETHER
    each = METHODS[method] if run is None else run
    return lambda crystals, settings: [each(*one, settings) for one in crystals], 1


def crystal_of(
    table: FragmentTable, index: int, recipe: Recipe, quality: DataQuality, seed: int
) -> SyntheticCrystal:
    """Make the crystal of a row of a split, the same for every method."""
    rng = np.random.default_rng((seed, index))
    return quality.measure(single(table.molecule(index), recipe), rng, recipe.sample_rate)


def _scored(crystal: SyntheticCrystal, phasing: Phasing, quality: DataQuality) -> Example:
    return Example(
        id=crystal.id,
        sequence=crystal.sequence,
        phasing=phasing,
        score=score(crystal, phasing.phi, quality.d_min, phasing.density),
    )
