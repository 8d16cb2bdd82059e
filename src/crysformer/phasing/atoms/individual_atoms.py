"""Atoms with a position, a B and an occupancy each, against the amplitudes of one crystal.

The asymmetric unit in the crystal's own space group: structure factors by direct summation,
least-squares refinement, difference maps and new atoms at their peaks. Atoms are of one kind, whose
occupancy tells heavier from lighter ones, or of an element each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.form_factors import form_factors, gaussians
from crysformer.crystal.normalisation import least_b
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import PeakPicker, map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.site_symmetry import site_symmetry
from crysformer.phasing.atoms.atomic_waves import AtomicWaves
from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.direct_sum import DirectSum

NITROGEN = 7
"""Atomic number that stands for C, N and O alike."""
_SAMPLE_RATE = 3.5  # grid points of maps per d_min
_SEPARATION = 1.1  # A, least distance between atoms; the shortest bond is 1.2 A
_SPECIAL = 0.8  # A, from its own mate, below which an atom is on a special position
_RATES, _LAST_RATE = (0.02, 0.05, 0.02), 1e-3  # step sizes of position (A), log B, occupancy
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements
_B_RANGE = (1.5, 80.0)  # A^2; the least is lower where colder crystals are usual
_PAIRS_AT_ONCE = 300_000  # atoms times reflections, which stay in the cache
_PAIRS_KEPT = 10_000_000  # the same times operators, of which waves are kept: 8 bytes each


@dataclass(frozen=True)
class Priors:
    """Normal distributions of log B and of the occupancy, and the range of the latter.

    Attributes
    ----------
    b_iso
        Median B, A^2.
    log_b_sigma
        Standard deviation of log B.
    occupancy_sigma
        Standard deviation of the occupancy around 1.
    occupancy_range
        Least and largest occupancy.
    """

    b_iso: float
    log_b_sigma: float
    occupancy_sigma: float
    occupancy_range: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Sites:
    """Site symmetry of atoms, as `SiteSymmetry`; an atom scatters with its share in each mate."""

    order: NDArray[np.int64]
    frac: Tensor
    projection: Tensor
    share: Tensor

    def on_site(self, frac: Tensor) -> Tensor:
        """Positions moved onto the special positions, fractional."""
        return self.frac + (self.projection @ (frac - self.frac)[..., None])[..., 0]


class IndividualAtoms:
    """Rows of x, y, z (A), log B and occupancy, and how well they fit one crystal.

    Parameters
    ----------
    data
        The crystal in its own space group.
    new_b
        B of new atoms, A^2.
    special
        Whether atoms may be on special positions. By default none is sought there.
    """

    def __init__(self, data: CrystalData, new_b: float, special: bool = False) -> None:
        self.data, self.new_b, self.special = data, new_b, special
        used = data.measured
        self.observed = torch.as_tensor(data.f[used], dtype=torch.float32)
        self.orth = torch.as_tensor(data.orth, dtype=torch.float32)
        self.to_frac = torch.as_tensor(data.to_frac, dtype=torch.float32)
        hkl = data.hkl[used].astype(np.int64)
        self.s_sq = torch.as_tensor(data.d[used] ** -2.0, dtype=torch.float32)
        self._gaussians = gaussians(data.radiation, torch.float32)
        self.f_atom = self.form_factor(NITROGEN)
        # centring multiplies all of them by one factor, and an inversion at the origin makes them
        # real: neither needs to be summed
        ops = list(operators(data.space_group))
        self.real = any((r == -np.eye(3)).all() and not t.any() for r, t in ops)
        self.sum = DirectSum(hkl, _without_inversion(ops) if self.real else ops)
        self.shape = symmetric_shape(data, _SAMPLE_RATE)
        self.picker = PeakPicker(data, self.shape, _SEPARATION, _SPECIAL if special else 0.0)
        self.log_b_range = (
            math.log(min(_B_RANGE[0], least_b(data.d_min))),
            math.log(_B_RANGE[1]),
        )
        self._relative: Tensor | None = None
        self._kind: Tensor | None = None

    def form_factor(self, number: int) -> Tensor:
        """Scattering factor of an element at rest for the measured reflections, shape (m,)."""
        a, b = self._gaussians
        return form_factors(a[[number]], b[[number]], self.s_sq)[0]

    def set_elements(self, number: NDArray[np.int64] | None) -> None:
        """Give each atom an element by atomic number, shape (n,); None: all are nitrogen.

        Holds until the next call; the atoms passed to the other methods must be as many.
        """
        if number is None:
            self._relative = self._kind = None
            return
        kinds, which = np.unique(number, return_inverse=True)
        self._relative = torch.stack([self.form_factor(int(z)) / self.f_atom for z in kinds])
        self._kind = torch.as_tensor(which)

    def parameters(self, frac: NDArray[np.float64]) -> Tensor:
        """New atoms at fractional sites, shape (n, 5)."""
        rows = torch.ones(len(frac), 5)
        rows[:, :3] = torch.as_tensor(frac, dtype=torch.float32) @ self.orth.T
        rows[:, 3] = math.log(self.new_b)
        return rows

    def frac(self, atoms: Tensor) -> NDArray[np.float64]:
        """Fractional coordinates of atoms, shape (n, 3)."""
        return np.asarray((atoms[:, :3] @ self.to_frac.T).double().numpy())

    def peaks(
        self, atoms: Tensor, coefficients: NDArray[np.complex128], n: int, above: float
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """Up to `n` new atoms at peaks of a map, (k, 5), and the heights in units of its rms, (k,).

        Peaks are higher than `above` and apart from `atoms`.
        """
        values = map_on_grid(self.data, coefficients, self.shape)
        if not self.special:
            values[self.picker.special] = -np.inf
        sites, heights = self.picker.pick(values, self.frac(atoms), n, above)
        return self.parameters(sites), heights

    def with_more(
        self, atoms: Tensor, coefficients: NDArray[np.complex128], n: int, above: float
    ) -> Tensor:
        """Atoms and up to `n` new ones at peaks of a map higher than `above` times its rms."""
        if n < 1:
            return atoms
        return torch.cat((atoms, self.peaks(atoms, coefficients, n, above)[0]))

    def calculated(self, atoms: Tensor) -> Tensor:
        """Structure factors of the measured reflections, electrons, complex, shape (m,)."""
        sites = self._sites(atoms)
        parts = [
            self._total(self._waves(atoms, rows, sites), atoms, sites)
            for rows in self._parts(len(atoms))
        ]
        return torch.complex(*torch.cat(parts, dim=1)) * self.f_atom

    def _parts(self, n_atoms: int) -> list[slice]:
        size = max(1, _PAIRS_AT_ONCE // max(1, n_atoms))
        return [slice(i, i + size) for i in range(0, len(self.s_sq), size)]

    def site_order(self, atoms: Tensor) -> NDArray[np.int64]:
        """Operators that leave each atom unchanged, shape (n,)."""
        sites = self._sites(atoms)
        return np.ones(len(atoms), dtype=np.int64) if sites is None else sites.order

    def _sites(self, atoms: Tensor) -> _Sites | None:
        """Special positions of the atoms; None where all are general."""
        if not self.special:
            return None
        found = site_symmetry(self.frac(atoms), self.data.cell, self.data.space_group, _SPECIAL)
        if (found.order == 1).all():
            return None
        return _Sites(
            found.order,
            torch.as_tensor(found.frac, dtype=torch.float32),
            torch.as_tensor(found.projection, dtype=torch.float32),
            torch.as_tensor(1.0 / found.order, dtype=torch.float32),
        )

    def _waves(self, atoms: Tensor, rows: slice, sites: _Sites | None) -> AtomicWaves:
        """Waves of some reflections without the form factor."""
        # mates share B and element with their atom: less than half the work of the general sum
        weight = torch.exp(-0.25 * atoms[:, 3, None].exp() * self.s_sq[rows])
        if self._relative is not None and self._kind is not None:
            weight = weight * self._relative[:, rows][self._kind]
        frac = atoms[:, :3] @ self.to_frac.T
        return AtomicWaves(self.sum, frac if sites is None else sites.on_site(frac), weight, rows)

    def _total(self, waves: AtomicWaves, atoms: Tensor, sites: _Sites | None) -> Tensor:
        """Real and imaginary parts of some reflections without the form factor, shape (2, k)."""
        total = waves.total(atoms[:, 4] if sites is None else atoms[:, 4] * sites.share)
        if self.real:
            total[1] = 0.0
        return total

    def difference(self, atoms: Tensor) -> NDArray[np.complex128]:
        """Coefficients of the difference map, |Fo| - k |Fc| with calculated phases, shape (m,)."""
        with torch.no_grad():
            F = self.calculated(atoms)
            modulus = F.abs().clamp(min=1e-6)
            k = amplitude_scale(self.observed, modulus)
            difference = (self.observed - k * modulus) * F / modulus
        return difference.numpy().astype(np.complex128)

    def refined(
        self, atoms: Tensor, steps: int, priors: Priors, whole: Tensor | None = None
    ) -> Tensor:
        """Minimise n ln sum (|Fo| - k |Fc|)^2 plus chi-squared of the priors.

        Occupancies are refined but where `whole`, shape (n,), is true. Atoms on special positions
        stay there, and an atom that has come close to its own mate is put on one.
        """
        sites = self._sites(atoms)
        if sites is not None:
            moved = sites.on_site(atoms[:, :3] @ self.to_frac.T) @ self.orth.T
            atoms = torch.cat((moved, atoms[:, 3:]), dim=1)
        parts = [x.clone() for x in (atoms[:, :3], atoms[:, 3], atoms[:, 4])]
        expected = math.log(priors.b_iso)

        def joined() -> Tensor:
            return torch.cat((parts[0], parts[1][:, None], parts[2][:, None]), dim=1)

        def gradients() -> tuple[Tensor, ...]:
            misfit = self._misfit_gradient(joined(), sites)
            # of the priors' chi-squared
            log_b = 2 * (parts[1] - expected) / priors.log_b_sigma**2
            occupancy = misfit[:, 4] + 2 * (parts[2] - 1) / priors.occupancy_sigma**2
            if whole is not None:
                occupancy = occupancy.masked_fill(whole, 0.0)
            return misfit[:, :3], misfit[:, 3] + log_b, occupancy

        minimise(
            parts,
            gradients,
            _RATES,
            steps,
            final_rates=(_LAST_RATE,) * 3,
            limits=(None, self.log_b_range, priors.occupancy_range),
            betas=_BETAS,
        )
        if sites is not None:
            parts[0] = sites.on_site(parts[0] @ self.to_frac.T) @ self.orth.T
        return joined()

    @torch.no_grad()
    def _misfit_gradient(self, atoms: Tensor, sites: _Sites | None) -> Tensor:
        """Gradient of n ln sum (|Fo| - k |Fc|)^2, shape as `atoms`."""
        parts = self._parts(len(atoms))
        kept = _PAIRS_KEPT // (_PAIRS_AT_ONCE * len(self.sum.waves))  # others are made twice
        waves, totals = list[AtomicWaves](), list[Tensor]()
        for rows in parts:
            own = self._waves(atoms, rows, sites)
            totals.append(self._total(own, atoms, sites))
            if len(waves) < max(1, kept):
                waves.append(own)
        by_total = self._misfit_by_total(torch.cat(totals, dim=1))
        occupancy = atoms[:, 4] if sites is None else atoms[:, 4] * sites.share
        gradient = torch.zeros_like(atoms)
        for i, rows in enumerate(parts):
            own = waves[i] if i < len(waves) else self._waves(atoms, rows, sites)
            gradient += own.gradient(occupancy, by_total[:, rows], self.s_sq[rows])
        gradient[:, 3] *= -0.25 * atoms[:, 3].exp()
        by_frac = gradient[:, :3]
        if sites is not None:
            by_frac = (sites.projection.mT @ by_frac[..., None])[..., 0]
            gradient[:, 4] *= sites.share
        gradient[:, :3] = by_frac @ self.to_frac
        return gradient

    def _misfit_by_total(self, total: Tensor) -> Tensor:
        """Derivatives of n ln sum (|Fo| - k |Fc|)^2 by the parts without form factor, (2, m)."""
        F = total * self.f_atom
        modulus = torch.linalg.vector_norm(F, dim=0).clamp(min=1e-6)
        k = amplitude_scale(self.observed, modulus)  # the best one: its derivative is zero
        difference = self.observed - k * modulus
        factor = -2 * len(difference) * k / difference.square().sum()
        by_total = factor * difference / modulus * F * self.f_atom
        if self.real:
            by_total[1] = 0.0
        return by_total

    def fitted(self, atoms: Tensor) -> tuple[NDArray[np.complex128], float]:
        """Structure factors of the data's reflections on their scale, and the R factor.

        Shape (n_data,); NaN where not measured.
        """
        with torch.no_grad():
            F = self.calculated(atoms)
            k = amplitude_scale(self.observed, F.abs())
            r = float(r_factor(self.observed, F.abs(), scale=k))
            F = k * F
        full = np.full(len(self.data), np.nan, dtype=np.complex128)
        full[self.data.measured] = F.numpy()
        return full, r


_Operation = tuple[NDArray[np.int64], NDArray[np.float64]]


def _without_inversion(ops: list[_Operation]) -> list[_Operation]:
    """One of each two operators that an inversion at the origin relates."""
    kept: list[_Operation] = []
    for rotation, shift in ops:
        if not any(np.array_equal(rotation, -other) for other, _ in kept):
            kept.append((rotation, shift))
    return kept
