"""One-way attention against its definition, and the Nystrom variant against exact attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crysformer.models.attention import (
    OneWayAttention,
    landmark_attention,
    pseudo_inverse,
    rotate,
    segment_means,
)


def by_definition(q: Tensor, k: Tensor, v: Tensor, ku: Tensor, vu: Tensor) -> Tensor:
    """One softmax over map keys and partial keys, written out."""
    scale = q.shape[-1] ** -0.5
    scores = torch.cat((q @ k.mT, q @ ku.mT), dim=-1) * scale
    return scores.softmax(-1) @ torch.cat((v, vu), dim=2)


@pytest.fixture
def parts() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return tuple(
        torch.randn(2, 3, n, 8, generator=generator, dtype=torch.float64)
        for n in (12, 12, 12, 20, 20)
    )


def test_exact_attention_is_one_softmax_over_map_and_partial_keys() -> None:
    torch.manual_seed(0)
    attention = OneWayAttention(16, 2, 8, None, 0.0).double()
    x, u = torch.randn(2, 7, 16).double(), torch.randn(2, 5, 16).double()
    q, k, v = attention._split(attention.query_key_value(x), 3)
    ku, vu = attention._split(attention.partial_key_value(u), 2)
    expected = attention.output(by_definition(q, k, v, ku, vu).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, u), expected)


def test_landmarks_that_are_the_tokens_give_exact_attention(parts: tuple[Tensor, ...]) -> None:
    q, k, v, _, _ = parts
    ku, vu = torch.flip(q, (2,)) * 0.5 + 0.1, v.sin()
    found = landmark_attention(q, k, v, ku, vu, landmarks=12, iterations=40)
    torch.testing.assert_close(found, by_definition(q, k, v, ku, vu), rtol=1e-6, atol=1e-6)


def test_landmarks_for_all_tokens(parts: tuple[Tensor, ...]) -> None:
    """Without exact keys, landmarks that are the tokens give exact attention over the others."""
    q, k, v, _, _ = parts
    none = k[:, :, :0]
    ku, vu = torch.flip(q, (2,)) * 0.5 + 0.1, v.sin()
    found = landmark_attention(q, none, none, ku, vu, landmarks=12, iterations=40)
    expected = by_definition(q, none, none, ku, vu)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.manual_seed(0)
    attention = OneWayAttention(16, 2, 8, 4, 0.0, "all").double()
    x, u = torch.randn(2, 7, 16).double(), torch.randn(2, 5, 16).double()
    exact = OneWayAttention(16, 2, 8, None, 0.0).double()
    exact.load_state_dict(attention.state_dict())
    assert attention(x, u).shape == x.shape
    with torch.no_grad():
        assert float((attention(x, u) - exact(x, u)).abs().max()) < 0.2


def test_fewer_landmarks_come_close_and_closer_with_more() -> None:
    generator = torch.Generator().manual_seed(5)
    smooth = torch.linspace(0, 3, 96, dtype=torch.float64)[:, None]
    frequencies = torch.randn(1, 8, generator=generator, dtype=torch.float64)
    q = (smooth * frequencies).sin().expand(1, 2, 96, 8)
    ku, vu = (smooth * frequencies.flip(1)).cos().expand(1, 2, 96, 8), q.cos()
    k, v = q[:, :, :4], q[:, :, 4:8]
    exact = by_definition(q, k, v, ku, vu)
    errors = [
        float((landmark_attention(q, k, v, ku, vu, m, iterations=30) - exact).abs().max())
        for m in (2, 8)
    ]
    assert errors[1] < 0.2 * errors[0]
    assert errors[1] < 0.02


def test_far_off_scores_do_not_overflow(parts: tuple[Tensor, ...]) -> None:
    q, k, v, ku, vu = (p.float() for p in parts)
    found = landmark_attention(40 * q, 40 * k, v, ku, vu, landmarks=4)
    assert torch.isfinite(found).all()


def test_pseudo_inverse_of_an_invertible_matrix_is_the_inverse() -> None:
    torch.manual_seed(1)
    a = (4 * torch.eye(6).double() + torch.randn(3, 6, 6).double()).softmax(-1)
    torch.testing.assert_close(pseudo_inverse(a, 30) @ a, torch.eye(6).double().expand(3, 6, 6))


def test_segment_means_of_equal_segments() -> None:
    x = torch.arange(12.0).reshape(1, 1, 6, 2)
    expected = x.reshape(1, 1, 3, 2, 2).mean(3)
    torch.testing.assert_close(segment_means(x, 3), expected)


def test_rotary_scores_depend_on_the_difference_of_positions() -> None:
    torch.manual_seed(2)
    q, k = torch.randn(1, 1, 5, 8), torch.randn(1, 1, 5, 8)
    angle, shift = torch.randn(1, 1, 5, 4), torch.randn(1, 1, 1, 4)
    here = rotate(q, angle) @ rotate(k, angle).mT
    there = rotate(q, angle + shift) @ rotate(k, angle + shift).mT
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(here, q @ k.mT)
