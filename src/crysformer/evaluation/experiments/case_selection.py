"""Crystals that are shown in figures, chosen by the rank of their map correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crysformer.errors import UsageError

#: Kinds of case that the paper shows: with tryptophan, by rank, and by per cent of the ranking.
DEFAULT_CASES = ("trp", "11", "18", "31", "50%", "75%", "90%")


@dataclass(frozen=True)
class Case:
    """A crystal of a ranking.

    Attributes
    ----------
    kind
        How it was chosen, as in `DEFAULT_CASES`.
    index
        Its place in the sequences given, from 0.
    rank
        Its rank by PC, from 1, the highest.
    of
        Length of the ranking.
    """

    kind: str
    index: int
    rank: int
    of: int

    def text(self) -> str:
        """How it was chosen, as part of a caption."""
        rank = f"rank {self.rank} of {self.of} by PC"
        if self.kind == "trp":
            return f"the best with tryptophan, {rank}"
        if self.kind.endswith("%"):
            return f"{rank}, {self.kind.removesuffix('%')} % down the list"
        return rank


def choose_cases(kinds: Sequence[str], pc: Sequence[float], sequences: Sequence[str]) -> list[Case]:
    """Choose crystals by rank; each is taken once, under its first kind.

    Parameters
    ----------
    kinds
        ``trp``: the crystal of highest PC whose sequence has a tryptophan. ``11``: the eleventh.
        ``90%``: the first one that 90 % of the crystals are not below in rank. Ranks beyond the
        last one and kinds that no crystal has are left out.
    pc
        Of each crystal.
    sequences
        Of each crystal.

    Raises
    ------
    UsageError
        If a kind is not of these forms.
    """
    order = sorted(range(len(pc)), key=lambda i: -pc[i])
    found: dict[int, Case] = {}
    for kind in kinds:
        place = _place(kind, order, sequences)
        if place is not None and place < len(order) and order[place] not in found:
            found[order[place]] = Case(kind, order[place], place + 1, len(order))
    return list(found.values())


def _place(kind: str, order: Sequence[int], sequences: Sequence[str]) -> int | None:
    """Place in the ranking, from 0; None if there is none of the kind."""
    if kind == "trp":
        return next((k for k, i in enumerate(order) if "W" in sequences[i]), None)
    number = kind.removesuffix("%")
    if not number.isdigit() or int(number) < 1 or (kind.endswith("%") and int(number) > 100):
        raise UsageError(
            f"{kind!r} is no kind of case; expected trp, a rank such as 11, or a part of the "
            "ranking such as 90%"
        )
    if kind.endswith("%"):
        return max(1, math.ceil(int(number) * len(order) / 100)) - 1
    return int(number) - 1
