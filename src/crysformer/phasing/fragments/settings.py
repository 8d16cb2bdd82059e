"""Settings of the search with ideal fragments."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.phasing.atoms.free_atoms import FreeAtomSettings
from crysformer.phasing.dual_space.dynamic_density_modification import DynamicSettings
from crysformer.phasing.fragments.applicability import FragmentChoiceSettings
from crysformer.phasing.fragments.fragment_translation import TranslationSettings
from crysformer.phasing.fragments.placement import PlacementSettings
from crysformer.phasing.fragments.rescoring import RescoringSettings
from crysformer.phasing.fragments.rotation_function import RotationSettings
from crysformer.phasing.fragments.strand_placement import StrandSettings
from crysformer.phasing.refinement.rigid_body import RigidBodySettings
from crysformer.settings import setting, table


@dataclass(frozen=True)
class FragmentSettings:
    """Ideal fragments placed by rotation and translation functions, then completed."""

    poses: int = setting(16, "Poses of a helix completed.", min=1, max=1000)
    poses_extended: int = setting(
        12, "Poses beside which a further fragment is placed.", min=1, max=1000
    )
    orientations: int = setting(24, "Orientations of further fragments.", min=1, max=1000)
    max_helices: int = setting(6, "Helices placed beside each other.", min=1, max=50)
    max_placed_fraction: float = setting(
        0.75, "Fraction of the structure that placed helices may be.", min=0.0, max=1.0
    )
    right_free_correlation: float = setting(
        0.75, "Free correlation that wrong phases never come near: the search ends.",
        min=0.0, max=1.0,
    )  # fmt: skip
    growing_free_correlation: float = setting(
        0.5, "Free correlation from which free atoms are grown in any case.", min=0.0, max=1.0
    )
    growing_gain: float = setting(
        0.1,
        "Rise of the free correlation over that of one helix from which free atoms are grown; "
        "wrong helices stay within 0.03.",
        min=0.0,
        max=1.0,
    )
    min_gain: float = setting(
        0.05,
        "Rise without which no further helix is placed after `helices_for_gain` of them.",
        min=0.0,
        max=1.0,
    )
    helices_for_gain: int = setting(3, "Helices after which `min_gain` is asked for.", min=1)
    helices_without_gain: int = setting(
        2, "Further helices that raised nothing, after which no more are placed.", min=1
    )
    growing_time_fraction: float = setting(
        0.85,
        "Fraction of the time left that growing atoms may take where helices look right.",
        min=0.0,
        max=1.0,
    )
    enough: float = setting(
        0.5, "Confidence of free atoms from which nothing else is tried.", min=0.0, max=1.0
    )
    doubted: float = setting(
        0.5,
        "Confidence that phases with imposed symmetry must earn again without it.",
        min=0.0,
        max=1.0,
    )
    choice: FragmentChoiceSettings = table(
        FragmentChoiceSettings, "Fragments that are looked for, and the resolution they need."
    )
    placement: PlacementSettings = table(PlacementSettings, "Poses of a fragment.")
    rotation: RotationSettings = table(RotationSettings, "Rotation function.")
    translation: TranslationSettings = table(TranslationSettings, "Translation function.")
    rigid_body: RigidBodySettings = table(RigidBodySettings, "Rigid-body refinement of poses.")
    strands: StrandSettings = table(
        StrandSettings, "Placement of strands, and of ladders, several at a time."
    )
    rescoring: RescoringSettings = table(
        RescoringSettings, "Flexible refinement of placed strands, by which they are ranked."
    )
    dynamic: DynamicSettings = table(
        DynamicSettings, "Dynamic density modification, the first step of completion."
    )
    free_atoms: FreeAtomSettings = table(
        FreeAtomSettings, "Free atoms grown from the completed structure."
    )
