"""Settings of alternative conformers."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.settings import setting


@dataclass(frozen=True)
class ConformerSettings:
    """Alternative conformers of side chains."""

    d_min: float = setting(
        1.2, "Resolution from which they are sought in the difference map; 0 for never.", unit="A",
        min=0.0, max=3.0,
    )  # fmt: skip
    split_d_min: float = setting(
        1.0, "Resolution from which elongated anisotropic atoms are split; 0 for never.", unit="A",
        min=0.0, max=2.0,
    )  # fmt: skip
    rounds: int = setting(2, "Rounds of candidates, each in the map of the last.", min=0, max=10)
    conformations: int = setting(
        400, "Random conformations of each side chain.", min=1, max=100_000
    )
    min_peak: float = setting(
        2.5, "Mean of mFo-DFc at the new positions, in units of its rms, from which a conformer is "
        "tried.", min=0.0, max=20.0,
    )  # fmt: skip
    min_contrast: float = setting(
        3.5, "The same mean less that at the atoms which would move, likewise.", min=0.0, max=50.0
    )
    elongation: float = setting(
        4.0, "Largest to middle mean square displacement from which an atom is split.",
        min=1.0, max=100.0,
    )  # fmt: skip
    min_split: float = setting(
        0.45, "Distance of its two halves, at least.", unit="A", min=0.1, max=2.0
    )
    min_occupancy: float = setting(
        0.12, "Occupancy below which a conformer is removed again.", min=0.0, max=0.5
    )
    min_distance: float = setting(
        0.35, "Largest distance of two conformers' atoms below which they are one.", unit="A",
        min=0.0, max=2.0,
    )  # fmt: skip
    first_occupancy: float = setting(
        0.3, "Occupancy of a new conformer before it is refined.", min=0.01, max=0.5
    )
