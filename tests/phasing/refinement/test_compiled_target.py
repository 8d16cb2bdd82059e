"""Compiled sums against gemmi, PyTorch in float64, and the target that they replace."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.compiled_target import CompiledTarget, target_class

pytest.importorskip("numba")

B_ISO = 12.0
GROUPS = (
    "P 1", "P 1 21 1", "P 21 21 21", "P 43", "C 1 2 1", "P 1 21/c 1", "R 3:H", "P 41 21 2",
    "I 21 21 21", "P 21 3", "F d d 2", "P 61 2 2",
)  # fmt: skip


def direct_score(target: CompiledTarget, data: CrystalData, xyz: Tensor) -> Tensor:
    """Score (B,) in float64 by a sum over the atoms of the cell for each index of the box."""
    hkl = torch.as_tensor(target.box.hkl).double()
    frac = xyz @ torch.as_tensor(data.to_frac).mT
    F = torch.zeros(len(xyz), len(hkl), dtype=torch.complex128)
    for (turn, shift), (rows, weight, f) in itertools.product(
        operators(data.space_group), target.groups
    ):
        mates = frac[:, rows] @ torch.as_tensor(turn).double().mT + torch.as_tensor(shift)
        wave = torch.exp(2j * torch.pi * torch.einsum("hi,bai->bha", hkl, mates))
        F = F + f.double() * (wave @ weight.to(torch.complex128))
    amplitude, weight = F.abs(), target.weight.double()
    mean = amplitude @ weight
    spread = ((amplitude - mean[:, None]).square() @ weight).sqrt()
    correlation = amplitude @ (weight * target.observed.double()) / spread
    return correlation - target.overlap * (amplitude.square() @ target.pairs.double())


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("by_element", [False, True])
def test_score_and_gradient_are_those_of_a_direct_sum(
    group: str,
    by_element: bool,
    crystal: Callable[..., CrystalData],
    positions: Callable[..., torch.Tensor],
) -> None:
    data = crystal(group, 2.6)
    peptides = build_peptides(("SG", "A"))
    target = CompiledTarget(
        data, peptides.number, B_ISO, overlap=0.2, by_element=by_element, solvent=True
    )
    xyz = positions(peptides, 2)
    free = xyz.double().requires_grad_()
    expected = direct_score(target, data, free)
    (slope,) = torch.autograd.grad(expected.sum(), free)
    found = target.evaluate(xyz)
    torch.testing.assert_close(found.score.double(), expected.detach(), atol=3e-6, rtol=0)
    assert found.gradient is not None
    torch.testing.assert_close(
        found.gradient.double(), slope, atol=1e-5 * float(slope.abs().max()), rtol=0
    )
    alone = target.evaluate(xyz, gradient=False)
    assert alone.gradient is None
    assert torch.equal(alone.score, found.score)


@pytest.mark.slow  # compiled once more
@pytest.mark.parametrize("group", ["P 1", "P 1 21 1", "P 43", "F d d 2"])
def test_in_double_precision_nothing_is_lost(
    group: str, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal(group, 2.6)
    peptides = build_peptides(("SG",))
    target = CompiledTarget(data, peptides.number, B_ISO, overlap=0.2)
    target.sums = target.sums_in(np.float64)
    xyz = positions(peptides, 2).double().requires_grad_()
    expected = direct_score(target, data, xyz)
    (slope,) = torch.autograd.grad(expected.sum(), xyz)
    found = target.evaluate(xyz.detach())
    torch.testing.assert_close(found.score, expected.detach(), atol=1e-9, rtol=0)
    torch.testing.assert_close(found.gradient, slope, atol=1e-9, rtol=0)


@pytest.mark.parametrize("group", ["P 1", "P 1 21 1", "P 43"])
def test_the_correlation_is_that_of_gemmis_structure_factors(
    group: str, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal(group, 1.8)
    peptides = build_peptides(("MSW",))
    xyz = positions(peptides, 1)
    blank = AmplitudeTarget(data, peptides.number, B_ISO, by_element=True)  # compared with gemmi
    F = np.abs(blank.structure_factors(xyz)[0])
    exact = CompiledTarget(
        CrystalData(data.cell, data.space_group, data.hkl, F, None, source="test"),
        peptides.number,
        B_ISO,
        by_element=True,
    )
    assert float(exact.evaluate(xyz).correlation) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_poses_give_the_same_on_any_number_of_threads(
    threads: int, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal("P 1 21 1", 1.8)
    peptides = build_peptides(("CG", "S"))
    plain, quick = (
        kind(data, peptides.number, B_ISO, overlap=0.2)
        for kind in (AmplitudeTarget, CompiledTarget)
    )
    xyz = positions(peptides, 7)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, expected = quick.evaluate(xyz), plain.evaluate(xyz)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found.correlation, expected.correlation, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.overlap, expected.overlap, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(found.gradient, expected.gradient, atol=2e-6, rtol=1e-4)


def test_only_the_processor_has_compiled_targets() -> None:
    assert target_class("cpu") is CompiledTarget
    assert target_class("cuda") is AmplitudeTarget
