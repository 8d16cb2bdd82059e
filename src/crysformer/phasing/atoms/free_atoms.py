"""Free atoms grown into a map: refined, poorly supported atoms removed, new ones added.

Dual-space recycling (Sheldrick, Acta Cryst. D66, 479, 2010) with a B for each atom, in the
crystal's own space group: the free atoms of automated model building (Lamzin & Wilson, Acta Cryst.
D49, 129, 1993). It completes structures after density modification and includes what peptide models
lack: waters, ions, ends of chains.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.form_factors import form_factors, gaussians
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import PeakPicker, map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.direct_sum import DirectSum
from crysformer.settings import setting

_SAMPLE_RATE = 3.5  # grid points of maps per d_min
_SEPARATION = 1.1  # A, least distance between free atoms; the shortest bond is 1.2 A
_NITROGEN = 7  # stands for C, N and O alike
_RATES, _LAST_RATE = (0.02, 0.05, 0.02), 1e-3  # step sizes of position (A), log B, occupancy
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements
_LOG_B_SIGMA, _OCCUPANCY_SIGMA = 0.7, 0.4  # standard deviations of the priors
_B_RANGE, _OCCUPANCY_RANGE = (1.5, 80.0), (0.2, 2.8)  # A^2, -; sulphur is 2.3 nitrogens
_NEW_B = 4.0  # A^2 above the mean, of new atoms
_SUPPORT_S_SQ = 0.4  # A^-2, (1/d)^2 at which the scattering of an atom measures its support
_PAIRS_AT_ONCE = 300_000  # atoms times reflections, which stay in the cache


@dataclass(frozen=True)
class FreeAtomSettings:
    """Cycles of refining free atoms, removing poor ones and adding new ones."""

    steps: int = setting(30, "Steps of refinement in each cycle.", min=1, max=10_000)
    removed_fraction: float = setting(
        0.08, "Fraction of the atoms removed in each cycle.", min=0.0, max=0.9
    )
    growth: float = setting(
        0.02,
        "Increase of the number of atoms with each cycle, relative to the sequence: waters.",
        min=0.0,
        max=1.0,
    )
    min_peak: float = setting(
        2.5, "Height of new atoms in the difference map, in units of its rms.", min=0.0, max=20.0
    )


@dataclass(frozen=True, eq=False)
class FreeAtoms:
    """Refined free atoms of one asymmetric unit.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (n, 3).
    b_iso, occupancy
        B, A^2, and occupancy relative to nitrogen, shape (n,).
    F
        Structure factors of the data's reflections, complex, shape (n_data,), on the scale of the
        data; NaN where not measured.
    r
        R factor.
    """

    frac: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    F: NDArray[np.complex128]
    r: float


def grow_atoms(
    data: CrystalData,
    start: NDArray[np.complex128],
    n_atoms: int,
    b_iso: float,
    cycles: int,
    deadline: float = math.inf,
    *,
    settings: FreeAtomSettings | None = None,
) -> FreeAtoms:
    """Grow free atoms from phases.

    Parameters
    ----------
    data
        The crystal in its own space group.
    start
        Weighted amplitudes with phases, shape (n_data,); NaN counts as zero.
    n_atoms
        Atoms in the asymmetric unit without waters.
    b_iso
        Mean B, A^2.
    cycles
        Number of cycles of refinement.
    deadline
        `time.monotonic` after which no second cycle begins.
    settings
        Steps of refinement, and numbers of atoms removed and added.
    """
    settings = settings or FreeAtomSettings()
    model = _Model(data, b_iso, settings)
    sharpened = np.nan_to_num(start[data.measured]) * np.exp(
        0.25 * max(0.0, b_iso - _NEW_B) * data.d[data.measured] ** -2.0
    )
    none = model.parameters(np.zeros((0, 3)))
    atoms = model.with_more(none, sharpened, n_atoms, above=0.0)
    for cycle in range(cycles):
        atoms = model.refined(atoms)
        if cycle == cycles - 1 or time.monotonic() > deadline:
            break
        atoms = model.without_poor(atoms)
        wanted = round(n_atoms * (1 + settings.growth * cycle)) - atoms.shape[0]
        atoms = model.with_more(atoms, model.difference(atoms), wanted, settings.min_peak)
    return model.result(atoms)


class _Model:
    """Atoms against the amplitudes of one crystal: rows of x, y, z (A), log B and occupancy."""

    def __init__(self, data: CrystalData, b_iso: float, settings: FreeAtomSettings) -> None:
        self.data, self.b_iso, self.settings = data, b_iso, settings
        used = data.measured
        self.observed = torch.as_tensor(data.f[used], dtype=torch.float32)
        self.orth = torch.as_tensor(data.orth, dtype=torch.float32)
        self.to_frac = torch.as_tensor(data.to_frac, dtype=torch.float32)
        hkl = data.hkl[used].astype(np.int64)
        self.s_sq = torch.as_tensor(data.d[used] ** -2.0, dtype=torch.float32)
        a, b = gaussians(data.radiation, torch.float32)
        self.f_atom = form_factors(a[[_NITROGEN]], b[[_NITROGEN]], self.s_sq)[0]
        self.sum = DirectSum(hkl, operators(data.space_group, centred=True))
        self.shape = symmetric_shape(data, _SAMPLE_RATE)
        self.picker = PeakPicker(data, self.shape, _SEPARATION)

    def parameters(self, frac: NDArray[np.float64]) -> Tensor:
        """New atoms at fractional sites, shape (n, 5)."""
        rows = torch.ones(len(frac), 5)
        rows[:, :3] = torch.as_tensor(frac, dtype=torch.float32) @ self.orth.T
        rows[:, 3] = math.log(self.b_iso + _NEW_B)
        return rows

    def with_more(
        self, atoms: Tensor, coefficients: NDArray[np.complex128], n: int, above: float
    ) -> Tensor:
        """Atoms and up to `n` new ones at peaks of a map higher than `above` times its rms."""
        if n < 1:
            return atoms
        values = map_on_grid(self.data, coefficients, self.shape)
        values[self.picker.special] = -np.inf
        placed = (atoms[:, :3] @ self.to_frac.T).double().numpy()
        return torch.cat((atoms, self.parameters(self.picker.pick(values, placed, n, above)[0])))

    def without_poor(self, atoms: Tensor) -> Tensor:
        """Atoms without those that scatter least, for their occupancy and B."""
        height = atoms[:, 4] * torch.exp(-0.25 * atoms[:, 3].exp() * _SUPPORT_S_SQ)
        n = max(1, round(self.settings.removed_fraction * len(atoms)))
        return atoms[height.argsort(descending=True)[:-n]]

    def calculated(self, atoms: Tensor) -> Tensor:
        """Structure factors of the measured reflections, electrons, complex, shape (m,)."""
        parts = [self._calculated(atoms, rows) for rows in self._parts(len(atoms))]
        return torch.complex(*torch.cat(parts, dim=1)) * self.f_atom

    def _parts(self, n_atoms: int) -> list[slice]:
        size = max(1, _PAIRS_AT_ONCE // max(1, n_atoms))
        return [slice(i, i + size) for i in range(0, len(self.s_sq), size)]

    def _calculated(self, atoms: Tensor, rows: slice) -> Tensor:
        """Real and imaginary parts of some reflections without the form factor, shape (2, k)."""
        # one element, and mates share B with their atom: less than half the work of the general sum
        height = atoms[:, 4, None] * torch.exp(-0.25 * atoms[:, 3, None].exp() * self.s_sq[rows])
        frac = atoms[:, :3] @ self.to_frac.T
        return torch.stack(self.sum(frac, height, rows))

    def difference(self, atoms: Tensor) -> NDArray[np.complex128]:
        """Coefficients of the difference map, |Fo| - k |Fc| with calculated phases, shape (m,)."""
        with torch.no_grad():
            F = self.calculated(atoms)
            modulus = F.abs().clamp(min=1e-6)
            k = amplitude_scale(self.observed, modulus)
            difference = (self.observed - k * modulus) * F / modulus
        return difference.numpy().astype(np.complex128)

    def refined(self, atoms: Tensor) -> Tensor:
        """Minimise n ln sum (|Fo| - k |Fc|)^2 plus priors on B and occupancy."""
        parts = [x.clone() for x in (atoms[:, :3], atoms[:, 3], atoms[:, 4])]
        expected = math.log(self.b_iso + 0.5 * _NEW_B)

        def joined() -> Tensor:
            return torch.cat((parts[0], parts[1][:, None], parts[2][:, None]), dim=1)

        def gradients() -> tuple[Tensor, ...]:
            misfit = self._misfit_gradient(joined())
            # of the priors' chi-squared
            log_b = 2 * (parts[1] - expected) / _LOG_B_SIGMA**2
            occupancy = 2 * (parts[2] - 1) / _OCCUPANCY_SIGMA**2
            return misfit[:, :3], misfit[:, 3] + log_b, misfit[:, 4] + occupancy

        minimise(
            parts,
            gradients,
            _RATES,
            self.settings.steps,
            final_rates=(_LAST_RATE,) * 3,
            limits=(None, (math.log(_B_RANGE[0]), math.log(_B_RANGE[1])), _OCCUPANCY_RANGE),
            betas=_BETAS,
        )
        return joined()

    def _misfit_gradient(self, atoms: Tensor) -> Tensor:
        """Gradient of n ln sum (|Fo| - k |Fc|)^2, shape as `atoms`, in parts that fit in memory."""
        with torch.no_grad():
            F = self.calculated(atoms)
        by_part = torch.stack((F.real, F.imag)).requires_grad_()
        modulus = torch.linalg.vector_norm(by_part, dim=0) + 1e-6
        scale = amplitude_scale(self.observed, modulus)
        misfit = ((self.observed - scale * modulus) ** 2).sum()
        (gradient,) = torch.autograd.grad(len(self.observed) * misfit.log(), by_part)
        gradient = gradient * self.f_atom
        leaf = atoms.clone().requires_grad_()
        for rows in self._parts(len(atoms)):
            # a scalar, because gradients given for tensors make torch import sympy
            (self._calculated(leaf, rows) * gradient[:, rows]).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    def result(self, atoms: Tensor) -> FreeAtoms:
        """Atoms with their structure factors and R factor."""
        with torch.no_grad():
            F = self.calculated(atoms)
            k = amplitude_scale(self.observed, F.abs())
            r = float(r_factor(self.observed, F.abs(), scale=k))
            F = k * F
        full = np.full(len(self.data), np.nan, dtype=np.complex128)
        full[self.data.measured] = F.numpy()
        frac = (atoms[:, :3] @ self.to_frac.T).double().numpy()
        b_iso, occupancy = atoms[:, 3].exp().double().numpy(), atoms[:, 4].double().numpy()
        return FreeAtoms(frac, b_iso, occupancy, full, r)
