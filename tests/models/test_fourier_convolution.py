"""Convolutions by Fourier transforms against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crysformer.models.fourier_convolution import fourier_convolution, pays
from crysformer.models.layers import CircularConv3d


def direct(x: Tensor, weight: Tensor, bias: Tensor, periodic: bool) -> Tensor:
    halo = weight.shape[-1] // 2
    if periodic:
        return functional.conv3d(functional.pad(x, 6 * (halo,), mode="circular"), weight, bias)
    return functional.conv3d(x, weight, bias, padding=halo)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(
    ("kernel", "shape"), [(3, (4, 3, 5)), (5, (8, 5, 6)), (7, (12, 8, 7)), (1, (4, 4, 4))]
)
def test_values_and_gradients_are_those_of_the_sum_over_the_kernel(
    kernel: int, shape: tuple[int, int, int], periodic: bool
) -> None:
    generator = torch.Generator().manual_seed(kernel)

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    inputs = random(2, 3, *shape), random(4, 3, kernel, kernel, kernel), random(4)
    towards = random(2, 4, *shape)
    found = []
    for convolve in (fourier_convolution, direct):
        x, weight, bias = (t.clone().requires_grad_() for t in inputs)
        y = convolve(x, weight, bias, periodic)
        y.backward(towards)
        found.append((y.detach(), x.grad, weight.grad, bias.grad))
    for own, expected in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-10)


def test_only_gradients_that_are_needed() -> None:
    weight = torch.randn(4, 2, 3, 3, 3, requires_grad=True)
    x = torch.randn(1, 2, 4, 4, 4)
    fourier_convolution(x, weight, None, True).sum().backward()
    assert weight.grad is not None
    assert x.grad is None


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_a_layer_with_a_large_kernel_uses_transforms(padding: str) -> None:
    torch.manual_seed(0)
    layer = CircularConv3d(8, 8, 5, padding)
    x = torch.randn(4, 8, 12, 10, 8)
    assert pays(x, layer.weight)
    with torch.no_grad():
        assert layer.bias is not None
        expected = direct(x, layer.weight, layer.bias, padding == "circular")
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_transforms_do_not_pay_for_small_kernels_short_axes_or_other_precision() -> None:
    x, weight = torch.zeros(4, 8, 12, 10, 8), torch.zeros(8, 8, 5, 5, 5)
    assert pays(x, weight)
    assert not pays(x, weight[..., :3, :3, :3])
    assert not pays(x[..., :4], weight)
    assert not pays(x.double(), weight.double())
    assert not pays(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(x, weight)
