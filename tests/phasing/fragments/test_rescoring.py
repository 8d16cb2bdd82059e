"""A strand near its place in the packing of 5E5Z, at atomic resolution, and strands elsewhere."""

from __future__ import annotations

import math
import time

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.fragments.completion import complete_structure, weighted_start
from crysformer.phasing.fragments.placement import PlacedFragment, structure_factors
from crysformer.phasing.fragments.rescoring import refine_poses
from crysformer.phasing.problem import phasing_problem
from crysformer.samples import FOLDER

STRAND = ideal_fragment("strand", 6)
B_ISO, N_ATOMS = 6.0, 100
FRACTION = 2 * len(STRAND.xyz) / N_ATOMS


@pytest.fixture(scope="module")
def crystal() -> tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]]:
    """Amplitudes to 1.1 A with 5 % error, structure factors, and the backbone."""
    structure = gemmi.read_structure(str(FOLDER / "5e5z.pdb.gz"))
    structure.remove_waters()
    model = structure[0]
    for site in model.all():
        site.atom.b_iso = B_ISO
    group = gemmi.SpaceGroup(structure.spacegroup_hm)
    hkl = gemmi.make_miller_array(structure.cell, group, 1.1)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    F = np.array([calculator.calculate_sf_from_model(model, h) for h in hkl.tolist()])
    error = 0.05 * np.random.default_rng(0).standard_normal(len(F))
    data = CrystalData(structure.cell, group, hkl.astype(np.int32), np.abs(F) * (1 + error))
    backbone = [
        [residue.sole_atom(name).pos.tolist() for name in ("N", "CA", "C", "O", "CB")]
        for residue in model[0]
    ]
    return data, F, np.array(backbone).reshape(-1, 3)


def bent(xyz: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The second half of a chain turned about its middle, degrees, as a library piece may be."""
    middle = len(xyz) // 2
    turn = Rotation.from_euler("xyz", (angle, angle, 0.0), degrees=True).as_matrix()
    half = (xyz[middle:] - xyz[middle]) @ turn.T + xyz[middle]
    return np.concatenate((xyz[:middle], half))


def at(xyz: NDArray[np.float64]) -> PlacedFragment:
    return PlacedFragment(STRAND, torch.as_tensor(xyz[None], dtype=torch.float32), 0.0)


def turned(xyz: NDArray[np.float64], seed: int, shift: tuple[float, ...]) -> NDArray[np.float64]:
    centre = xyz.mean(axis=0)
    rotation = Rotation.random(random_state=seed).as_matrix()
    return np.asarray((xyz - centre) @ rotation.T + centre + shift)


def test_a_strand_off_its_place_is_completed_and_others_rank_below(
    crystal: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, placed = crystal
    off = bent(placed, 6.0) + np.array([0.2, 0.0, -0.2])
    error = np.sqrt(((off - placed) ** 2).sum(axis=1).mean())
    assert 0.5 < error < 0.8
    wrong = [at(turned(placed, seed, (0.0, 0.0, 3.0))) for seed in range(4)]
    poses, typical = refine_poses(data, [*wrong, at(off)], B_ISO, FRACTION, 2)
    gains = [pose.gain for pose in poses]
    assert gains[0] is not None
    assert gains[1] is not None
    assert gains[0] > 1.5 * gains[1] > 1.5 * typical
    moved = poses[0].xyz[0].double().numpy() - placed
    moved[:, 1] -= moved[:, 1].mean()  # the origin is free along b
    assert np.sqrt((moved**2).sum(axis=1).mean()) < 0.2
    problem = phasing_problem(data, "LVHSSN")
    starts = [
        weighted_start(problem, data, one, FRACTION)
        for one in structure_factors(data, poses, B_ISO)
    ]

    def complete(enough: float) -> tuple[torch.Tensor, torch.Tensor]:
        return complete_structure(
            problem.grid,
            torch.stack(starts),
            0.22,
            B_ISO,
            ((2, 60),),
            torch.Generator().manual_seed(0),
            math.inf,
            enough=enough,
        )

    completed, free = complete(1.0)
    phi, true = (np.rad2deg(np.angle(x)) for x in (problem.average(completed[0]), F))
    found = compare_phases(data.hkl, data.f, phi, true, data.cell, data.space_group)
    assert found.weighted_aligned < 20
    assert float(free[0]) > 0.75
    assert float(free[1]) < 0.55
    # what looks right ends the search among the starts
    assert len(complete(0.75)[0]) == 1


def test_refinement_ends_in_time(
    crystal: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, _, placed = crystal
    wrong = [at(turned(placed, seed, (0.0, 0.0, 3.0))) for seed in range(9)]
    late, _ = refine_poses(data, wrong, B_ISO, FRACTION, 9, time.monotonic() - 1)
    moved = sorted(float(pose.xyz[0, 0, 0]) for pose in late)
    assert moved == sorted(float(pose.xyz[0, 0, 0]) for pose in wrong)
    assert refine_poses(data, [], B_ISO, FRACTION, 5) == ([], 0.0)
