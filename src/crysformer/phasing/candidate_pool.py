"""The best candidates found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from crysformer.phasing.candidate import Candidate
from crysformer.settings import setting


@dataclass(frozen=True)
class PoolSettings:
    """Candidates that are kept, and the confidence that ends the search."""

    convinced: float = setting(0.98, "Confidence from which the search ends.", min=0.5, max=1.0)
    promising: float = setting(
        0.5, "Confidence from which symmetry and atoms are looked at first.", min=0.0, max=1.0
    )
    beyond_doubt: float = setting(
        0.95, "Confidence above which atoms rank before density.", min=0.0, max=1.0
    )
    kept: int = setting(8, "Candidates kept.", min=1, max=100)


class CandidatePool:
    """Candidates of one crystal, the most convincing first.

    Parameters
    ----------
    settings
        What is kept.
    symmetry
        Fraction of a candidate's confidence that the space group leaves, 0 to 1; None in P1.
    late
        True when the time is up: then symmetry is determined for the first promising candidate of
        several, and the others are left out.
    """

    def __init__(
        self,
        settings: PoolSettings | None = None,
        symmetry: Callable[[Candidate], float] | None = None,
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings or PoolSettings()
        self._symmetry, self._late = symmetry, late
        self._candidates: tuple[Candidate, ...] = ()
        self._rejected: tuple[Candidate, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates kept, best first."""
        return self._candidates

    @property
    def rejected(self) -> tuple[Candidate, ...]:
        """The best of those added last that would convince without the space group, or none."""
        return self._rejected

    @property
    def best(self) -> Candidate | None:
        """The most convincing candidate."""
        return self._candidates[0] if self._candidates else None

    @property
    def convinced(self) -> bool:
        """True if the best candidate ends the search."""
        return self.best is not None and self.best.confidence >= self.settings.convinced

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take over candidates and keep the best few.

        Outside P1 one that is promising must also be consistent with the space group, or a wrong
        one might end the search.
        """
        rated: list[Candidate] = []
        looked_at = 0
        for candidate in sorted(candidates, key=lambda c: c.confidence, reverse=True):
            if not self._needs_symmetry(candidate):
                rated.append(candidate)
            elif self._symmetry is not None and not (looked_at and self._late()):
                rated.append(replace(candidate, symmetry=self._symmetry(candidate)))
                looked_at += 1
        rejected = [
            candidate
            for candidate in rated
            if candidate.symmetry == 0
            and replace(candidate, symmetry=None).confidence >= self.settings.convinced
        ]
        self._rejected = tuple(sorted(rejected, key=lambda c: c.figures.r)[:1])
        ranked = sorted([*self._candidates, *rated], key=self._rank, reverse=True)
        self._candidates = tuple(ranked[: self.settings.kept])

    def _needs_symmetry(self, candidate: Candidate) -> bool:
        looked_at = candidate.symmetry is not None or candidate.peptide is not None
        unlikely = candidate.confidence < self.settings.promising
        return self._symmetry is not None and not looked_at and not unlikely

    def _rank(self, candidate: Candidate) -> tuple[float, bool, float]:
        """Confidence; among the equally promising or certain, atoms before density; then R."""
        has_atoms = candidate.atoms is not None or candidate.peptide is not None
        value = min(candidate.confidence, self.settings.beyond_doubt)
        if value >= self.settings.promising:
            value = round(value, 2)
        return value, has_atoms, -candidate.figures.r
