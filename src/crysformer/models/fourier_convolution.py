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
        X, K = _matrices(x, size), _kernel_matrices(weight, size)
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
        # Conjugates are written out: products of lazy ones take several times as long.
        if ctx.needs_input_grad[0]:
            to_x = _maps(torch.bmm(G, K.conj_physical()), ctx.size, ctx.shape)
        if ctx.needs_input_grad[1]:
            products = torch.bmm(G.conj_physical_().mT, X)
            to_weight = _kernel_gradient(products, ctx.size, ctx.kernel)
        return to_x, to_weight, None


def _matrices(maps: Tensor, size: Shape) -> Tensor:
    """Fourier coefficients of maps (A, B, U, V, W), padded with zeros, (frequencies, A, B)."""
    F = torch.fft.rfftn(maps, s=size, dim=_AXES).flatten(2)
    return F.flatten(0, 1).T.contiguous().unflatten(1, F.shape[:2])


def _maps(matrices: Tensor, size: Shape, shape: Shape) -> Tensor:
    """The first voxels (A, B, U, V, W) of maps with these coefficients (frequencies, A, B)."""
    half = (size[0], size[1], size[2] // 2 + 1)
    F = matrices.flatten(1).T.contiguous().unflatten(0, matrices.shape[1:]).unflatten(2, half)
    nu, nv, nw = shape
    return torch.fft.irfftn(F, s=size, dim=_AXES)[:, :, :nu, :nv, :nw]


def _kernel_matrices(weight: Tensor, size: Shape) -> Tensor:
    """Conjugate coefficients of kernels with their middle at the origin, (frequencies, C', C).

    A sum over the few voxels of the kernel, axis by axis, takes less time than a transform of the
    cell for each kernel, and leaves the coefficients in the order of the products.
    """
    u, v, w = _waves(weight, size, weight.shape[-1])
    K = weight.permute(2, 3, 4, 0, 1).flatten(3).to(w.dtype)
    K = v @ (w @ K).flatten(2)
    K = u @ K.flatten(1)
    return K.reshape(-1, *weight.shape[:2])


def _kernel_gradient(matrices: Tensor, size: Shape, kernel: int) -> Tensor:
    """The transpose of `_kernel_matrices`, (frequencies, C', C) to the voxels of the kernel."""
    u, v, w = _waves(matrices.real, size, kernel)
    half = size[2] // 2 + 1
    # Of a pair of conjugate coefficients, one is there and counts twice.
    pairs = torch.full((half,), 2.0 / math.prod(size), dtype=w.real.dtype)
    pairs[0] /= 2
    if size[2] % 2 == 0:
        pairs[-1] /= 2
    G = u.T @ matrices.reshape(size[0], -1)
    G = v.T @ G.reshape(kernel, size[1], -1)
    G = ((w * pairs[:, None]).T @ G.reshape(kernel, kernel, half, -1)).real
    return G.unflatten(3, matrices.shape[1:]).permute(3, 4, 0, 1, 2)


def _waves(like: Tensor, size: Shape, kernel: int) -> list[Tensor]:
    """exp(2 pi i h (k - k0) / n) for each axis, shape (frequencies, kernel); half of the last."""
    waves = []
    for n, frequencies in zip(size, (size[0], size[1], size[2] // 2 + 1), strict=True):
        turns = torch.outer(torch.arange(frequencies), torch.arange(kernel) - kernel // 2) % n
        angle = (2 * math.pi / n) * turns.to(torch.float64)
        waves.append(torch.polar(torch.ones_like(angle), angle).to(like.dtype.to_complex()))
    return waves


def _of(maps: Tensor) -> Shape:
    nu, nv, nw = maps.shape[-3:]
    return nu, nv, nw
