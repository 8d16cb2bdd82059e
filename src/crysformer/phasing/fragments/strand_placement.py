"""Placement of many similar fragments at once: the best orientations of all of them compete."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.fragments.fragment_translation import (
    FragmentTranslation,
    TranslationSettings,
)
from crysformer.phasing.fragments.placement import PlacedFragment
from crysformer.phasing.fragments.rotation_function import RotationSettings, best_rotations
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.rigid_body import RigidBodySettings, refine_rigid_bodies
from crysformer.settings import setting, table


@dataclass(frozen=True)
class StrandRotationSettings(RotationSettings):
    """Search for the orientations of a strand or ladder."""

    orientations: int = setting(
        10_000, "Random orientations of the first stage.", min=1, max=10_000_000
    )
    limits: tuple[float, ...] = setting(
        (2.2, 1.6), "Resolution limit of each stage.", unit="A", min=0.8, max=6.0
    )
    kept: tuple[int, ...] = setting(
        (3, 1), "Orientations kept after each stage, for each one returned.", min=1, max=1000
    )


@dataclass(frozen=True)
class StrandSettings:
    """Placement of strands, and of ladders, several at a time."""

    orientations_each: int = setting(
        24, "Orientations of each of several ladders that compete.", min=1, max=1000
    )
    orientations: int = setting(
        64, "Orientations translated, of all that are placed together.", min=1, max=10_000
    )
    translation_d_min: float = setting(
        2.0, "Resolution limit of the translation function.", unit="A", min=0.8, max=6.0
    )
    translations: int = setting(3, "Translations of each orientation.", min=1, max=1000)
    refinement_d_min: float = setting(
        1.6, "Resolution limit of the first rigid-body refinement.", unit="A", min=0.8, max=6.0
    )
    poses: int = setting(
        40, "Poses refined again, against all reflections, then flexibly.", min=1, max=10_000
    )
    completed: int = setting(6, "Of these the likeliest, which are completed.", min=1, max=1000)
    rotation: StrandRotationSettings = table(
        StrandRotationSettings, "Rotation function of a strand or ladder."
    )


def place_fragments(
    data: CrystalData,
    fragments: Sequence[Fragment],
    b_iso: float,
    n: int,
    generator: torch.Generator,
    deadline: float,
    *,
    settings: StrandSettings | None = None,
    translation: TranslationSettings | None = None,
    rigid_body: RigidBodySettings | None = None,
) -> list[PlacedFragment]:
    """Poses of fragments of equal composition, best first.

    The correlation of a rotation function compares fragments of one size with each other, so that
    only the best orientations of all of them are translated. After refinement poses are ranked by
    the sum of that correlation and the one of the amplitudes: on 5AWL the poses that can be
    completed rank 1st and 4th among 960 by the sum, 18th and 50th by the amplitudes alone.

    Parameters
    ----------
    data
        The crystal, in its own space group.
    fragments
        The fragments, with equal atomic numbers.
    b_iso
        B of their atoms, A^2.
    n
        Number of poses to return at most.
    generator
        Source of the random orientations.
    deadline
        `time.monotonic` after which no further fragment or orientation is tried, and nothing is
        refined.
    settings, translation, rigid_body
        Settings of the placement and of its steps.

    Raises
    ------
    NotApplicable
        If there are too few reflections of low resolution.
    """
    settings = settings or StrandSettings()
    number = fragments[0].number
    oriented = _oriented(data, fragments, generator, deadline, settings)
    translate = len(data.space_group.operations().sym_ops) > 1
    functions: dict[int, FragmentTranslation] = {}
    poses: list[NDArray[np.float64]] = []
    source: list[tuple[Fragment, float]] = []
    for score, which, matrix in oriented:
        if poses and time.monotonic() > deadline:
            break
        fragment = fragments[which]
        xyz = fragment.xyz @ matrix.T
        where = np.zeros((1, 3))  # the position of a single molecule is arbitrary in P1
        if translate:
            if which not in functions:
                functions[which] = FragmentTranslation(
                    data, fragment, settings.translation_d_min, settings=translation
                )
            where, _ = functions[which].first(matrix, settings.translations)
        poses += [xyz + shift for shift in where @ data.orth.T]
        source += [(fragment, score)] * len(where)
    bodies = torch.as_tensor(np.array(poses)[:, None], dtype=torch.float32)
    orientation_score = torch.tensor([score for _, score in source])
    kept = torch.arange(len(bodies))
    for d_min, n_kept in (
        (max(settings.refinement_d_min, data.d_min), settings.poses),
        (data.d_min, n),
    ):
        target = AmplitudeTarget(data, number, b_iso, d_min)
        bodies, correlation = refine_rigid_bodies(target, bodies, deadline, settings=rigid_body)
        rank = correlation + orientation_score[kept]
        best = rank.argsort(descending=True)[:n_kept]
        bodies, kept, correlation = bodies[best], kept[best], correlation[best]
    return [
        PlacedFragment(source[i][0], xyz, float(c))
        for i, xyz, c in zip(kept.tolist(), bodies, correlation, strict=True)
    ]


def _oriented(
    data: CrystalData,
    fragments: Sequence[Fragment],
    generator: torch.Generator,
    deadline: float,
    settings: StrandSettings,
) -> list[tuple[float, int, NDArray[np.float64]]]:
    """Correlation, fragment and rotation (3, 3) of the best orientations of all fragments."""
    found: list[tuple[float, int, Tensor]] = []
    each = max(settings.orientations_each, settings.orientations // len(fragments))
    for which, fragment in enumerate(fragments):
        if found and time.monotonic() > deadline:
            break
        rotations, scores = best_rotations(
            data,
            fragment,
            each,
            generator,
            deadline=deadline,
            settings=settings.rotation,
        )
        found += [(s, which, r) for s, r in zip(scores.tolist(), rotations, strict=True)]
    found.sort(key=lambda one: -one[0])
    return [(s, i, r.double().numpy()) for s, i, r in found[: settings.orientations]]
