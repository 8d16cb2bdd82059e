"""Search for sulphur sites with amplitudes of atomic resolution."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import grid_shape
from crysformer.crystal.peak_picking import PeakPicker
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.chain import letters_of
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.translation_function import TranslationFunction
from crysformer.phasing.fragments.translation_map import distinct, free_axes
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.direct_sum import DirectSum
from crysformer.settings import setting

_SAMPLE_RATE = 3.0  # grid points of the translation function per d_min
_SEPARATION = 1.7  # A; bonded sulphurs are 2.03 A apart
_POINTS_PER_SITE = 25  # highest grid points considered for each site that is sought
_SAME_CORRELATION = 1e-4  # within which two sets of atoms are one at two origins
_STEP = 0.05  # A, step size of refinement
_TINY = 1e-9  # added to |F|^2, whose root is not differentiable at zero
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements


@dataclass(frozen=True)
class HeavyAtomSettings:
    """Beam search for heavy atoms, one after the other."""

    max_atoms: int = setting(
        12, "Heavy atoms in the asymmetric unit that are sought at most.", min=1, max=200
    )
    seeds: int = setting(60, "Positions of the first atom.", min=1, max=100_000)
    branches: int = setting(
        6, "Positions of the next atom tried for each set of atoms.", min=1, max=1000
    )
    beam: int = setting(100, "Sets of atoms kept after each atom.", min=1, max=100_000)
    refined: int = setting(40, "Complete sets that are refined.", min=1, max=100_000)
    steps: int = setting(25, "Steps of that refinement.", min=0, max=10_000)


@dataclass(frozen=True, eq=False)
class HeavySites:
    """Heavy atoms of one asymmetric unit.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (n, 3).
    correlation
        Correlation of |E| with the amplitudes of the atoms.
    """

    frac: NDArray[np.float64]
    correlation: float


def number_of_sulphurs(content: CellContent, *, settings: HeavyAtomSettings | None = None) -> int:
    """Sulphur atoms in the asymmetric unit; zero if they are too many to be found one by one."""
    settings = settings or HeavyAtomSettings()
    letters = Counter("".join(letters_of(s) for s in content.sequences))
    n = content.copies * (letters["C"] + letters["M"])
    return n if n <= settings.max_atoms else 0


class HeavyAtomSearch:
    """Beam search for equal atoms, each placed where it best explains E^2 with those before it.

    For an atom at t added to others of structure factors F the sum of (E^2 - 1) |F + f(t)|^2 over
    all reflections is a map in t. It has a term of the atom and its symmetry mates, the same for
    every F (the translation function of one atom, Crowther & Blow, 1967), and a cross term, the
    Fourier transform of (E^2 - 1) F.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    settings
        Width of the beam.
    """

    def __init__(self, data: CrystalData, *, settings: HeavyAtomSettings | None = None) -> None:
        self.settings = settings or HeavyAtomSettings()
        shape = grid_shape(data.cell, data.d_min, _SAMPLE_RATE)
        self.function = TranslationFunction(data, shape)
        self.picker = PeakPicker(data, shape, _SEPARATION)
        self.atom = self.function.mates(np.zeros((1, 3)), np.ones(1, dtype=np.int64))
        self.free = free_axes(self.function.rotations)

    def find(self, n: int, deadline: float = math.inf) -> list[HeavySites]:
        """Best sets of `n` atoms, best first; no atom is added after `deadline`."""
        s = self.settings
        alone = self.function.alone(self.atom)
        alone[self.picker.special] = -np.inf  # an atom there would overlap its mates
        sites = self._highest(alone, np.zeros((0, 3)), s.seeds)[:, None]
        F = self.function.moved(self.atom, sites[:, 0])
        for _ in range(1, n):
            if time.monotonic() > deadline:
                break
            found, parent = [], []
            for i, (placed, own) in enumerate(zip(sites, F, strict=True)):
                where = self._highest(
                    alone + self.function.beside(self.atom, own), placed, s.branches
                )
                found.append(where)
                parent += [i] * len(where)
            added = np.concatenate(found)
            sites = np.concatenate((sites[parent], added[:, None]), axis=1)
            F = F[parent] + self.function.moved(self.atom, added)
            best = distinct(self.function.correlation(F), s.beam, _SAME_CORRELATION)
            sites, F = sites[best], F[best]
        return self._refined(sites[: s.refined])

    def _highest(
        self, values: NDArray[np.float64], placed: NDArray[np.float64], n: int
    ) -> NDArray[np.float64]:
        """Up to `n` of the highest points that are apart from each other and from `placed`."""
        if not len(placed):  # the first atom fixes a free origin
            for axis in np.flatnonzero(self.free):
                values = values.take([0], axis=axis)
        return self.picker.pick(values, placed, n, looked_at=_POINTS_PER_SITE * n)[0]

    def _refined(self, sites: NDArray[np.float64]) -> list[HeavySites]:
        """Sets of atoms, shape (B, n, 3), after maximising their correlations, best first."""
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
            amplitude = (real**2 + imaginary**2 + _TINY).sqrt() / root
            a = amplitude - (amplitude @ weight)[:, None]
            return torch.as_tensor((a @ (weight * centred)) / (a**2 @ weight).sqrt())

        minimise(
            (xyz,),
            lambda: torch.autograd.grad(-correlation(xyz).sum(), xyz),
            (_STEP,),
            self.settings.steps,
            betas=_BETAS,
        )
        with torch.no_grad():
            reached = correlation(xyz).double().numpy()
        frac = (xyz.detach() @ to_frac.T).double().numpy()
        best = distinct(reached, len(reached), _SAME_CORRELATION)
        return [HeavySites(frac[i], float(reached[i])) for i in best]
