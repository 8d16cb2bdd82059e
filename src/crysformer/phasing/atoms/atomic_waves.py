"""Waves that atoms scatter into some reflections, and gradients from what they are made of.

Automatic differentiation takes three times as long: it makes an array of atoms times reflections
for each step of the calculation, where here every sum over reflections is one matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.phasing.refinement.direct_sum import DirectSum


class AtomicWaves:
    """Real and imaginary parts w cos and w sin of the waves of each atom, for each operator.

    Parameters
    ----------
    direct_sum
        The reflections, and the operators that give the mates of an atom.
    frac
        Fractional coordinates, shape (n, 3).
    weight
        Scattering power w of a whole atom for each of the reflections, shape (n, k).
    rows
        The k reflections, of those of `direct_sum`.
    """

    def __init__(self, direct_sum: DirectSum, frac: Tensor, weight: Tensor, rows: slice) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for rotated, shift in direct_sum.waves:
            hkl = rotated[:, rows]
            angle = torch.addmm(shift[rows], frac, hkl)
            self._parts.append((hkl, angle.cos().mul_(weight), angle.sin_().mul_(weight)))

    def total(self, occupancy: Tensor) -> Tensor:
        """Real and imaginary parts of the sum over atoms with occupancies (n,), shape (2, k)."""
        real = sum(occupancy @ cosine for _, cosine, _ in self._parts)
        imaginary = sum(occupancy @ sine for _, _, sine in self._parts)
        return torch.stack((torch.as_tensor(real), torch.as_tensor(imaginary)))

    def gradient(self, occupancy: Tensor, of_total: Tensor, falloff: Tensor) -> Tensor:
        """Gradient of a function of the total with respect to the atoms.

        Parameters
        ----------
        occupancy
            As in `total`, shape (n,).
        of_total
            Derivatives of the function by `total`, shape (2, k).
        falloff
            Derivative of the logarithm of the weights by a parameter of each atom, for the
            reflections, up to a factor that depends on the atom, shape (k,).

        Returns
        -------
        Tensor
            Derivatives by the fractional coordinates, by that parameter (up to that factor) and by
            the occupancy, shape (n, 5).
        """
        real, imaginary = of_total
        out = torch.zeros(len(occupancy), 5, dtype=of_total.dtype)
        for hkl, cosine, sine in self._parts:
            of_cosine = torch.stack((*(imaginary * hkl), real * falloff, real), dim=1)
            of_sine = torch.stack((*(-real * hkl), imaginary * falloff, imaginary), dim=1)
            out.addmm_(cosine, of_cosine).addmm_(sine, of_sine)
        out[:, :4] *= occupancy[:, None]
        return out
