"""Settings of the search with a known sequence."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.phasing.refinement.restrained import RestrainedSettings
from crysformer.phasing.refinement.waters import WaterSettings
from crysformer.phasing.sequence_search.applicability import SequenceSizeSettings
from crysformer.phasing.sequence_search.helix_starts import HelixStartSettings
from crysformer.phasing.sequence_search.side_chain_fit import SideChainSettings
from crysformer.phasing.sequence_search.trial_moves import TrialMoveSettings
from crysformer.settings import setting, table


@dataclass(frozen=True)
class SequenceSettings:
    """Torsion-space search for peptides of known sequence."""

    screened: int = setting(30_000, "Random poses rated at low resolution.", min=1)
    starts: int = setting(1200, "The best of them, which are refined.", min=1)
    population: int = setting(
        100, "The best of those, which are changed and refined again and again.", min=2
    )
    small_residues: int = setting(2, "Residues in all up to which fewer random poses do.", min=0)
    small_screened: int = setting(4000, "Random poses for so few residues.", min=1)
    small_starts: int = setting(1000, "Starts for so few residues.", min=1)
    long_residues: int = setting(12, "Residues of a chain up to which random poses find it.", min=1)
    long_population: int = setting(
        40, "Population for longer chains, whose generations take long.", min=2
    )
    overlap: float = setting(
        0.1, "Weight of the penalty for atoms that are too close.", min=0.0, max=10.0
    )
    sharpened: float = setting(
        0.5,
        "Fraction of the mean B taken away from the amplitudes: right poses then stand out more.",
        min=0.0,
        max=1.0,
    )
    temperature: float = setting(
        0.005, "Loss of score with which a changed pose is still likely to be taken.", min=1e-6
    )
    replaced: float = setting(
        0.25, "Fraction of the poses in which one of several chains is placed again.",
        min=0.0, max=1.0,
    )  # fmt: skip
    orientations: int = setting(32, "Orientations tried for such a chain at most.", min=1)
    copy_every: int = setting(
        5, "Generations after which the worst poses give way to copies of better ones.", min=1
    )
    copied: float = setting(0.125, "Fraction of the population that does so.", min=0.0, max=0.5)
    stale: int = setting(
        60, "Generations without progress after which a new population begins.", min=1
    )
    refined_twice: int = setting(
        12, "Helix starts whose side chains are fitted again after refinement.", min=0
    )
    held_out: float = setting(
        0.08, "Fraction of the reflections held out of the search.", min=0.0, max=0.5
    )
    held_out_from: int = setting(300, "Measured reflections from which some are held out.", min=0)
    solvent_from: int = setting(
        300, "Measured reflections from which low resolution counts less in the search.", min=0
    )
    compared: int = setting(25, "Best poses compared with each other after a turn.", min=1)
    refined: int = setting(4, "Distinct solutions refined with restraints after a turn.", min=1)
    waters_confidence: float = setting(
        0.2, "Confidence from which water molecules are looked for.", min=0.0, max=1.0
    )
    compiled: bool = setting(
        True,
        "Compile the target and the steps of poses, on the processor and if numba is there; not "
        "for `small_residues`, whose search ends before functions are compiled.",
    )
    size: SequenceSizeSettings = table(
        SequenceSizeSettings, "Chains and residues up to which the search is tried."
    )
    helix_starts: HelixStartSettings = table(HelixStartSettings, "Starts along placed helices.")
    side_chains: SideChainSettings = table(
        SideChainSettings, "Conformations of side chains tried on helix starts."
    )
    trial_moves: TrialMoveSettings = table(TrialMoveSettings, "Trial moves of a generation.")
    restrained: RestrainedSettings = table(RestrainedSettings, "Restrained refinement.")
    waters: WaterSettings = table(WaterSettings, "Water molecules added to a refined model.")
