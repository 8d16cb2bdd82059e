"""Settings of building and refinement."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.building.alternatives.settings import ConformerSettings
from crysformer.building.completion import CompletionSettings
from crysformer.building.ordered_waters import OrderedWaterSettings
from crysformer.building.scaling import ScalingSettings
from crysformer.settings import setting, table


@dataclass(frozen=True)
class BuildSettings:
    """Settings of building and refinement; each table is declared beside the code that uses it."""

    cycles: int = setting(10, "Cycles of the first and of each long refinement.", min=1, max=500)
    converged: float = setting(
        0.003, "Gain in R over its last three cycles up to which the first refinement has "
        "converged; beyond it, it is continued.", min=0.0, max=1.0,
    )  # fmt: skip
    more_cycles: int = setting(20, "Cycles of its continuation; 0 for none.", min=0, max=500)
    short_cycles: int = setting(5, "Cycles after a small change of the model.", min=1, max=500)
    shake: float = setting(
        0.3, "Random displacement (rms) of a model that was found with all reflections, before it "
        "is refined without the free ones.", unit="A", min=0.0, max=1.0,
    )  # fmt: skip
    rebuilds: int = setting(
        2, "Rounds of turning side chains and adding residues in the improved map.", min=0, max=20
    )
    hydrogens_d_min: float = setting(
        1.2, "Resolution from which riding hydrogens are tried.", unit="A", min=0.3, max=3.0
    )
    anisotropic_d_min: float = setting(
        1.0, "Resolution from which anisotropic B are tried.", unit="A", min=0.3, max=3.0
    )
    anisotropic_reflections: float = setting(
        2.0, "Working reflections for each parameter (9 for each atom) from which they are tried.",
        min=1.0, max=100.0,
    )  # fmt: skip
    amide_d_min: float = setting(
        1.2, "Resolution up to which the density tells N from O; beyond it, hydrogen bonds decide "
        "how the amides of Asn and Gln lie.", unit="A", min=0.3, max=4.0,
    )  # fmt: skip
    folds: int = setting(
        5, "Refinements of a k-fold R-free, with fewer than 300 free reflections; 0 for none.",
        min=0, max=50,
    )  # fmt: skip
    atomic_d_min: float = setting(
        1.25, "Resolution from which atoms with elements are matched to the sequence.", unit="A",
        min=0.3, max=2.0,
    )  # fmt: skip
    atom_pairs: int = setting(
        60_000_000, "Atoms times reflections times symmetry operators up to which they are sought.",
        min=0,
    )  # fmt: skip
    waters: OrderedWaterSettings = table(OrderedWaterSettings, "Waters.")
    completion: CompletionSettings = table(CompletionSettings, "Missing atoms and side chains.")
    conformers: ConformerSettings = table(ConformerSettings, "Alternative conformers.")
    scaling: ScalingSettings = table(ScalingSettings, "Scale and bulk solvent.")
