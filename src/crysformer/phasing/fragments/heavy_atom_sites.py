"""Where the sulphur atoms are, from amplitudes of atomic resolution."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import grid_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.chain import letters_of
from crysformer.phasing.atoms.peak_picking import PeakPicker
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.translation_function import TranslationFunction
from crysformer.phasing.fragments.translation_map import distinct, free_axes
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.direct_sum import DirectSum

_MOST = 12  # atoms in the asymmetric unit
_SAMPLE_RATE = 3.0
_SEPARATION = 1.7  # A; bonded sulphurs are 2.03 A apart
_SEEDS, _BEAM, _BRANCHES = 60, 100, 6
_LOOKED_AT = 25  # of the highest grid points for each site that is sought
_SAME = 1e-4  # correlations nearer than this are of one set of atoms at another origin
_CLIMBED, _STEPS, _STEP = 40, 25, 0.05  # sets of atoms, steps, and A a step
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements


@dataclass(frozen=True, eq=False)
class HeavySites:
    """Atoms where the amplitudes want them.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (n, 3).
    correlation
        Of |E| and the atoms' amplitudes.
    """

    frac: NDArray[np.float64]
    correlation: float


def number_of_sulphurs(content: CellContent) -> int:
    """Sulphur atoms in the asymmetric unit; none if they are too many to be found one by one."""
    letters = Counter("".join(letters_of(s) for s in content.sequences))
    n = content.copies * (letters["C"] + letters["M"])
    return n if n <= _MOST else 0


class HeavyAtomSearch:
    """Equal atoms placed one after the other, each where it best explains E^2 with those before.

    For an atom at t added to others with the transform F the sum of (E^2 - 1) |F + f(t)|^2 over
    all reflections is a map in t: one term of the atom and its symmetry mates, the same for every
    F (the translation function of one atom, Crowther & Blow, 1967), and one of (E^2 - 1) F, which
    is an FFT. The best places of the first atom are followed in a beam.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    """

    def __init__(self, data: CrystalData) -> None:
        shape = grid_shape(data.cell, data.d_min, _SAMPLE_RATE)
        self.function = TranslationFunction(data, shape)
        self.picker = PeakPicker(data, shape, _SEPARATION)
        self.atom = self.function.mates(np.zeros((1, 3)), np.ones(1, dtype=np.int64))
        self.free = free_axes(self.function.rotations)

    def find(self, n: int, deadline: float = math.inf) -> list[HeavySites]:
        """The best sets of `n` atoms, best first; no atom is added after `deadline`."""
        alone = self.function.alone(self.atom)
        alone[self.picker.special] = -np.inf  # there an atom would lie on one of its mates
        sites = self._highest(alone, np.zeros((0, 3)), _SEEDS)[:, None]
        F = self.function.moved(self.atom, sites[:, 0])
        for _ in range(1, n):
            if time.monotonic() > deadline:
                break
            found, parent = [], []
            for i, (placed, own) in enumerate(zip(sites, F, strict=True)):
                where = self._highest(
                    alone + self.function.beside(self.atom, own), placed, _BRANCHES
                )
                found.append(where)
                parent += [i] * len(where)
            added = np.concatenate(found)
            sites = np.concatenate((sites[parent], added[:, None]), axis=1)
            F = F[parent] + self.function.moved(self.atom, added)
            best = distinct(self.function.correlation(F), _BEAM, _SAME)
            sites, F = sites[best], F[best]
        return self._climbed(sites[:_CLIMBED])

    def _highest(
        self, values: NDArray[np.float64], placed: NDArray[np.float64], n: int
    ) -> NDArray[np.float64]:
        """Up to `n` of the highest places that keep their distance from each other and `placed`."""
        if not len(placed):  # the first atom says where the origin is
            for axis in np.flatnonzero(self.free):
                values = values.take([0], axis=axis)
        return self.picker.pick(values, placed, n, looked_at=_LOOKED_AT * n)[0]

    def _climbed(self, sites: NDArray[np.float64]) -> list[HeavySites]:
        """Sets of atoms, shape (B, n, 3), moved up the correlation, best first."""
        orth = torch.as_tensor(self.picker.orth, dtype=torch.float32)
        to_frac = torch.linalg.inv(orth)
        xyz = torch.as_tensor(sites, dtype=torch.float32) @ orth.T
        xyz.requires_grad_()
        own = self.function
        structure_factors = DirectSum(own.hkl, zip(own.rotations, own.shifts, strict=True))
        weight, e, root = (
            torch.as_tensor(x, dtype=torch.float32)
            for x in (own.multiplicity, own.e, own.root_epsilon)
        )
        centred = e - e @ weight
        centred = centred / (centred**2 @ weight).sqrt()

        def correlation(x: torch.Tensor) -> torch.Tensor:
            real, imaginary = structure_factors(x @ to_frac.T)
            amplitude = (real**2 + imaginary**2 + 1e-9).sqrt() / root
            a = amplitude - (amplitude @ weight)[:, None]
            return torch.as_tensor((a @ (weight * centred)) / (a**2 @ weight).sqrt())

        minimise(
            (xyz,),
            lambda: torch.autograd.grad(-correlation(xyz).sum(), xyz),
            (_STEP,),
            _STEPS,
            betas=_BETAS,
        )
        with torch.no_grad():
            reached = correlation(xyz).double().numpy()
        frac = (xyz.detach() @ to_frac.T).double().numpy()
        best = distinct(reached, len(reached), _SAME)
        return [HeavySites(frac[i], float(reached[i])) for i in best]
