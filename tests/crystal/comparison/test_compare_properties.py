"""What alignment must not depend on, for any map."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crysformer.crystal.comparison.compare import Alignment, align, apply_alignment, phase_errors
from crysformer.crystal.fourier.grids import grid_from_density, half_grid_indices

Shape = tuple[int, int, int]
shapes = st.tuples(*[st.integers(9, 14)] * 3)
seeds = st.integers(0, 2**31)


def band_limited(shape: Shape, seed: int, n: int = 1) -> torch.Tensor:
    """Random half grids of real maps, falling off with resolution, well inside Nyquist."""
    generator = torch.Generator().manual_seed(seed)
    F = grid_from_density(torch.randn(n, *shape, generator=generator, dtype=torch.float64), 1.0)
    h, k, l = half_grid_indices(shape)  # noqa: E741
    radius_sq = (h**2)[:, None, None] + (k**2)[:, None] + l**2
    return torch.where((radius_sq <= 12) & (radius_sq > 0), F * torch.exp(-radius_sq / 8), 0)


def noisy(F: torch.Tensor, seed: int, sigma: float = 0.5) -> torch.Tensor:
    """Half grids of maps with errors in every phase and amplitude."""
    other = band_limited(tuple(torch.fft.irfftn(F[0]).shape), seed, len(F))
    return F + sigma * F.abs().mean() / other.abs().mean() * other[..., : F.shape[-1]]


@given(shapes, seeds, st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.booleans())
@settings(deadline=None, max_examples=25)
def test_origin_and_hand_do_not_matter(
    shape: Shape, seed: int, shift: tuple[float, float, float], inverted: bool
) -> None:
    shape = (shape[0], shape[1], shape[2] // 2 * 2)
    F = band_limited(shape, seed)
    model = noisy(F, seed + 1)
    move = Alignment(
        torch.tensor([shift], dtype=torch.float64), torch.tensor([inverted]), torch.zeros(1)
    )
    here, there = align(model, F), align(apply_alignment(model, move), F)
    torch.testing.assert_close(here.cosine, there.cosine, atol=1e-6, rtol=0)
    direct = phase_errors(apply_alignment(model, here), F)
    torch.testing.assert_close(direct.cosine2, here.cosine, atol=1e-6, rtol=0)


@given(shapes, seeds)
@settings(deadline=None, max_examples=25)
def test_alignment_is_never_worse_than_none(shape: Shape, seed: int) -> None:
    F = band_limited(shape, seed, 3)
    model = band_limited(shape, seed + 7, 3)
    as_is = phase_errors(model, F).cosine2
    assert bool((align(model, F).cosine >= as_is - 1e-9).all())


@given(shapes, seeds)
@settings(deadline=None, max_examples=25)
def test_batch_equals_one_by_one(shape: Shape, seed: int) -> None:
    F = band_limited(shape, seed, 4)
    model = band_limited(shape, seed + 3, 4)
    model[:2] = F[:2] * torch.polar(torch.tensor(1.0).double(), torch.tensor(0.3).double())
    together = align(model, F)
    for i in range(4):
        alone = align(model[i : i + 1], F[i : i + 1])
        torch.testing.assert_close(alone.cosine, together.cosine[i : i + 1], atol=1e-9, rtol=0)


@given(shapes, st.tuples(*[st.integers(0, 6)] * 3), seeds)
@settings(deadline=None, max_examples=25)
def test_grid_padding_does_not_matter(shape: Shape, more: Shape, seed: int) -> None:
    F = band_limited(shape, seed)
    model = band_limited(shape, seed + 5)
    small = align(model, F)
    bigger = tuple(n + extra for n, extra in zip(shape, more, strict=True))
    padded = [embed(grid, shape, bigger) for grid in (model, F)]
    large = align(*padded)
    torch.testing.assert_close(small.cosine, large.cosine, atol=1e-12, rtol=0)
    torch.testing.assert_close(small.shift, large.shift, atol=1e-6, rtol=0)
    assert bool((small.inverted == large.inverted).all())


def embed(grid: torch.Tensor, shape: Shape, bigger: Shape) -> torch.Tensor:
    h, k, l = half_grid_indices(shape)  # noqa: E741
    padded = grid.new_zeros(len(grid), bigger[0], bigger[1], bigger[2] // 2 + 1)
    padded[:, (h % bigger[0])[:, None, None], (k % bigger[1])[:, None], l] = grid
    return padded


def test_a_centrosymmetric_model_is_not_turned_over() -> None:
    F = band_limited((12, 12, 12), 0).abs().to(torch.complex128)
    for dtype in (torch.complex64, torch.complex128):
        assert not bool(align(F.to(dtype), F.to(dtype)).inverted[0])


def test_no_reflections_and_missing_phases() -> None:
    F = band_limited((10, 10, 10), 0, 2)
    model = F.clone()
    model[0] = 0
    found = align(model, F)
    assert found.cosine.tolist()[0] == 0
    assert bool(torch.isfinite(found.shift).all())
    nothing = align(F, F, weights=torch.zeros_like(F.real))
    assert nothing.cosine.tolist() == [0, 0]
    model[0] = complex("nan")
    errors = phase_errors(model, F)
    assert abs(float(errors.mean[0]) - 90) < 1e-9
