"""Criteria by which deposited entries are chosen: those of the paper's appendix B."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.settings import check_ranges, setting


@dataclass(frozen=True)
class Criteria:
    """Criteria of the choice of entries; the method is always X-ray diffraction.

    Raises
    ------
    UsageError
        If a value is out of its range.
    """

    released_after: int = setting(
        1995, "Last year whose releases are left out.", min=1900, max=2200
    )
    min_length: int = setting(40, "Residues of the shortest chain.", min=1, max=100_000)
    max_resolution: float = setting(2.75, "High-resolution limit.", unit="A", min=0.3, max=20.0)
    max_r_free: float = setting(0.28, "Largest free R value.", min=0.0, max=1.0)

    def __post_init__(self) -> None:
        check_ranges(self)


#: The paper's values.
PAPER = Criteria()
