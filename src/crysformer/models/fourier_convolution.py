"""Three-dimensional convolutions by Fourier transforms, for CPUs.

A convolution over a periodic cell is a product in reciprocal space. For kernels of 5 and 7 voxels
and tens of channels, transforms and products take several times less time than the sum over the
kernel, in the backward pass above all, and the results agree to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from crysformer.crystal.fourier.grids import Shape

_AXES = (2, 3, 4)
#: Multiplications of a direct convolution in the time that transforms take for a voxel of a map,
#: and that a product of two complex coefficients takes (AVX-512, one thread).
_TRANSFORM, _PRODUCT = 250, 11
#: Channels that direct convolutions calculate together; fewer take as long.
_TOGETHER = 16


def pays(x: Tensor, weight: Tensor) -> bool:
    """Check if a convolution takes less time by Fourier transforms.

    Parameters
    ----------
    x
        Shape (B, C, U, V, W).
    weight
        Shape (C', C, k, k, k).
    """
    b, c, *shape = x.shape
    out, _, *kernel = weight.shape
    single = x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if x.device.type != "cpu" or not single or any(map(int.__lt__, shape, kernel)):
        return False
    direct = math.prod(kernel) * b * c * _TOGETHER * math.ceil(out / _TOGETHER)
    return direct > _TRANSFORM * (b * (c + out) + c * out) + _PRODUCT * b * c * out


def fourier_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, periodic: bool) -> Tensor:
    """Convolve maps with a kernel; the size stays the same.

    Parameters
    ----------
    x
        Shape (B, C, U, V, W); every axis is at least as long as the kernel.
    weight
        Shape (C', C, k, k, k), k odd; as for `torch.nn.functional.conv3d`.
    bias
        Shape (C',).
    periodic
        Maps repeat beyond their faces; otherwise they are zero there.

    Returns
    -------
    Tensor
        Shape (B, C', U, V, W).
    """
    y: Tensor = _Convolution.apply(x, weight, not periodic)
    return y if bias is None else y + bias.reshape(-1, 1, 1, 1)


class _Convolution(torch.autograd.Function):
    """y(r) = sum over k of w(k) x(r + k - k0), with k0 the middle of the kernel.

    Coefficients of maps and kernels are matrices over two of batch, C and C', one for each
    frequency, so that every sum over channels or batch is a batched product of matrices.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, zeros: bool) -> Tensor:
        """Transform, multiply, transform back."""
        shape = _of(x)
        # Half a kernel of zeros separates each map from its periodic image.
        halo = zeros * (weight.shape[-1] // 2)
        size = (shape[0] + halo, shape[1] + halo, shape[2] + halo)
        X, K = _matrices(x, size), _matrices(_placed(weight, size), size).conj()
        ctx.save_for_backward(X, K)
        ctx.shape, ctx.size, ctx.kernel = shape, size, weight.shape[-1]
        return _maps(torch.bmm(X, K.mT), size, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Correlate the gradient with the kernel, and with the maps."""
        X, K = ctx.saved_tensors
        G = _matrices(grads[0], ctx.size)
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _maps(torch.bmm(G, K.conj()), ctx.size, ctx.shape)
        if ctx.needs_input_grad[1]:
            to_weight = _taken(_maps(torch.bmm(G.mH, X), ctx.size, ctx.size), ctx.kernel)
        return to_x, to_weight, None


def _matrices(maps: Tensor, size: Shape) -> Tensor:
    """Fourier coefficients of maps (A, B, U, V, W), padded with zeros, (frequencies, A, B)."""
    F = torch.fft.rfftn(maps, s=size, dim=_AXES)
    return F.flatten(2).permute(2, 0, 1).contiguous()


def _maps(matrices: Tensor, size: Shape, shape: Shape) -> Tensor:
    """The first voxels (A, B, U, V, W) of maps with these coefficients (frequencies, A, B)."""
    half = (size[0], size[1], size[2] // 2 + 1)
    F = matrices.permute(1, 2, 0).contiguous().unflatten(2, half)
    nu, nv, nw = shape
    return torch.fft.irfftn(F, s=size, dim=_AXES)[:, :, :nu, :nv, :nw]


def _placed(weight: Tensor, size: Shape) -> Tensor:
    """Kernels in a periodic grid, their middle at the origin."""
    grid = weight.new_zeros(*weight.shape[:2], *size)
    u, v, w = (_around_origin(weight.shape[-1], n) for n in size)
    grid[:, :, u[:, None, None], v[:, None], w] = weight
    return grid


def _taken(grid: Tensor, kernel: int) -> Tensor:
    """The inverse of `_placed`."""
    u, v, w = (_around_origin(kernel, n) for n in _of(grid))
    return grid[:, :, u[:, None, None], v[:, None], w]


def _around_origin(kernel: int, n: int) -> Tensor:
    return (torch.arange(kernel) - kernel // 2) % n


def _of(maps: Tensor) -> Shape:
    nu, nv, nw = maps.shape[-3:]
    return nu, nv, nw
