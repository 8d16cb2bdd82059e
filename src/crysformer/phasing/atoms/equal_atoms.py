"""Equal atoms from phases and phases from equal atoms, in batches: peak search and refinement.

Dual-space recycling as in SHELXD (Sheldrick, Acta Cryst. D66, 479, 2010), for 1.0 to 1.8 A, where
bonded atoms are not separate maxima: atoms are found one layer at a time in the difference
between the phased map and the atoms so far, then refined together. The R factor of the refined
atoms is a strict figure of merit: few parameters must reproduce many amplitudes.

All atoms are one kind of scatterer with one B per structure and an occupancy each; a heavier
element has a larger occupancy. exp(2 pi i h.x) is a product over the axes in any cell, and a common
B factors out, so that the structure factors of all atoms are one matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.form_factors import form_factors, gaussians
from crysformer.crystal.fourier.grids import Shape, hkl_to_grid, real_space, smooth_size
from crysformer.crystal.fourier.structure_factors import separable_sum
from crysformer.crystal.normalisation import least_b
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor
from crysformer.phasing.p1_grid import P1Grid, replace_amplitude
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.miller_box import MillerBox
from crysformer.settings import setting

_NITROGEN = 7  # stands for C, N and O alike
_PEAK_GRID = 0.36  # A, spacing of the maps in which peaks are sought
_SEPARATION = 0.9  # A, least distance between atoms; the shortest bond is 1.2 A
_SEPARATION_IN_LAYER = 1.3  # A, the same before the neighbour has been subtracted
_OCCUPANCY = (0.15, 3.0)  # limits of refinement; S is 2.3 N
_OCCUPANCY_OF_NEW = (0.5, 1.5)  # limits while atoms are added
_B_RANGE = (1.0, 80.0)  # A^2; the least is lower where colder crystals are usual
# Participation ratio of a map over that of as many separate atoms, since bonded atoms overlap:
# +- 0.05, on dipeptides at 1.5 A.
_OVERLAP_OF_BONDED = 0.79
_RATES = (0.05, 0.03, 0.7)  # first step sizes of positions (A), occupancies and B (A^2)
_WARM_UP = 4  # steps
_BETAS = (0.8, 0.95)  # decay rates of Adam's moments: short memory for short refinements


@dataclass(frozen=True)
class EqualAtomSettings:
    """Peak search for equal atoms."""

    layers: int = setting(6, "Difference maps over which the atoms are divided.", min=1, max=1000)
    layer_steps: int = setting(
        8, "Steps of refinement against the phased map after each.", min=0, max=1000
    )


class AtomicModel:
    """Structure factors, peaks and refinement of equal atoms against one phase grid.

    Parameters
    ----------
    grid
        The crystal.
    n_atoms
        Atoms in the unit cell; sets the scale of the peak of one atom.
    b_iso
        B of the atoms before refinement, A^2.
    settings
        Division of the peak search into layers.
    deadline
        `time.monotonic` after which no step of refinement begins.
    """

    def __init__(
        self,
        grid: P1Grid,
        n_atoms: int,
        b_iso: float,
        *,
        settings: EqualAtomSettings | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.settings = settings or EqualAtomSettings()
        self.deadline = deadline
        self.grid = grid
        self.n_atoms = n_atoms
        self.b_iso = b_iso
        device = grid.device
        data = grid.data
        used = torch.as_tensor(data.measured, device=device)
        self.hkl = torch.as_tensor(data.hkl, device=device)[used]
        self.f_obs = torch.as_tensor(data.f, dtype=torch.float32, device=device)[used]
        self.f_obs = self.f_obs / grid.scale
        lengths = torch.linalg.inv(grid.orth).mT  # rows: reciprocal axes
        self.d_star_sq = ((self.hkl.to(grid.orth) @ lengths.mT) ** 2).sum(1)
        a, b = gaussians(data.radiation, torch.float32, device)
        self.f_atom = form_factors(a[[_NITROGEN]], b[[_NITROGEN]], self.d_star_sq)[0]
        damping = torch.exp(-0.5 * b_iso * self.d_star_sq)
        self.scale = float((self.f_obs**2).sum() / (n_atoms * self.f_atom**2 * damping).sum())
        self.scale = math.sqrt(self.scale)
        listed = data.hkl[data.measured].astype(np.int64)
        self.box = MillerBox(listed)
        self.waves = [2 * math.pi * indices.float().to(device) for indices in self.box.ranges]
        rows, conjugate = self.box.index(listed)
        self.rows = torch.as_tensor(rows, device=device)
        self.conjugate = torch.as_tensor(conjugate, device=device)
        self.peak_shape = _peak_shape(grid)
        self.total = (self.f_obs**2).sum()
        self.b_range = (min(_B_RANGE[0], least_b(data.d_min)), _B_RANGE[1])

    def structure_factors(self, atoms: EqualAtoms) -> Tensor:
        """F of the measured reflections on the scale of the grid, complex, (B, H)."""
        angles = [
            atoms.frac[:, :, axis, None] * wave
            for axis, wave in zip(self.box.axes, self.waves, strict=True)
        ]
        x, y, z = (torch.polar(torch.ones_like(angle), angle) for angle in angles)
        summed = separable_sum(x * atoms.occupancy[:, :, None], y, z)[:, self.rows]
        summed = torch.where(self.conjugate, summed.conj(), summed)
        damping = torch.exp(-0.25 * atoms.b_iso[:, None] * self.d_star_sq)
        return summed * (self.scale * self.f_atom * damping)

    def to_grid(self, F: Tensor) -> Tensor:
        """Listed structure factors (B, H) on the half grid of the grid."""
        return hkl_to_grid(self.hkl, F, self.grid.shape)

    def phased(self, F: Tensor) -> Tensor:
        """Measured amplitudes with the phases of `F`, both (B, H)."""
        return replace_amplitude(F, self.f_obs)

    def r_factor(self, F: Tensor) -> Tensor:
        """R = sum | |F_obs| - k |F| | / sum |F_obs|, k by least squares, shape (B,)."""
        return r_factor(self.f_obs, F.abs())

    def find(self, target: Tensor, start: EqualAtoms | None = None) -> EqualAtoms:
        """Place atoms in difference maps, one layer after another.

        Parameters
        ----------
        target
            Phased amplitudes, complex, shape (B, H).
        start
            Atoms to keep; others are added up to `n_atoms`.
        """
        n_batch = len(target)
        atoms = start or EqualAtoms(
            target.real.new_zeros(n_batch, 0, 3),
            target.real.new_zeros(n_batch, 0),
            target.real.new_full((n_batch,), self.b_iso),
        )
        per_layer = max(1, math.ceil(self.n_atoms / self.settings.layers))
        while (missing := self.n_atoms - atoms.frac.shape[1]) > 0:
            residual = target - self.structure_factors(atoms)
            rho = self._residual_map(residual)
            found = self._peaks(rho, atoms.frac, min(per_layer, missing))
            atoms = replace(
                atoms,
                frac=torch.cat([atoms.frac, found], dim=1),
                occupancy=torch.cat([atoms.occupancy, torch.ones_like(found[..., 0])], dim=1),
            )
            atoms = self.refine(atoms, self.settings.layer_steps, target)
            atoms = replace(atoms, occupancy=atoms.occupancy.clamp(*_OCCUPANCY_OF_NEW))
        return atoms

    def refine(self, atoms: EqualAtoms, steps: int, target: Tensor | None = None) -> EqualAtoms:
        """Refine all atoms against the phased `target` (B, H), or against the amplitudes alone.

        Minimises sum |F - target|^2, or sum (|F| - |F_obs|)^2 with a free scale, by Adam with a
        cosine schedule.
        """
        length = torch.linalg.vector_norm(self.grid.orth, dim=0)
        cart = (atoms.frac * length).detach().requires_grad_()
        occupancy = atoms.occupancy.detach().clone().requires_grad_()
        b_iso = atoms.b_iso.detach().clone().requires_grad_()
        parameters = (cart, occupancy, b_iso)

        def gradients() -> tuple[Tensor, ...]:
            F = self.structure_factors(EqualAtoms(cart / length, occupancy, b_iso))
            if target is None:
                modulus = F.abs()
                k = amplitude_scale(self.f_obs, modulus)
                residual = (k[:, None] * modulus - self.f_obs) ** 2
            else:
                difference = F - target
                residual = difference.real**2 + difference.imag**2
            return torch.autograd.grad(residual.sum() / self.total, parameters)

        minimise(
            parameters,
            gradients,
            _RATES,
            steps,
            final_rates=(0.0, 0.0, 0.0),
            warm_up=_WARM_UP,
            limits=(None, _OCCUPANCY, self.b_range),
            betas=_BETAS,
            deadline=self.deadline,
        )
        return EqualAtoms((cart / length).detach(), occupancy.detach(), b_iso.detach())

    def _residual_map(self, residual: Tensor) -> Tensor:
        grid = hkl_to_grid(self.hkl, residual, self.peak_shape)
        return real_space(grid, self.peak_shape)

    def _peaks(self, rho: Tensor, occupied: Tensor, n: int) -> Tensor:
        """Highest `n` grid points of each map that are apart, fractional, (B, n, 3)."""
        _, nv, nw = self.peak_shape
        shape = torch.tensor(self.peak_shape, device=rho.device)
        flat = rho.flatten(1).clone()
        rows = torch.arange(len(flat), device=rho.device)[:, None]
        near = self._ball(_SEPARATION)
        for atom in range(occupied.shape[1]):
            centre = (occupied[:, atom] * shape).round().long()
            flat[rows, self._around(centre, near)] = -torch.inf
        layer = self._ball(_SEPARATION_IN_LAYER)
        found = []
        for _ in range(n):
            best = flat.argmax(1)
            centre = torch.stack([best // (nv * nw), best // nw % nv, best % nw], dim=1)
            found.append(centre / shape)
            flat[rows, self._around(centre, layer)] = -torch.inf
        return torch.stack(found, dim=1)

    def _ball(self, radius: float) -> Tensor:
        """Grid offsets within `radius` (A) of the origin, (M, 3)."""
        inverse = torch.linalg.vector_norm(torch.linalg.inv(self.grid.orth), dim=1)
        shape = torch.tensor(self.peak_shape, device=self.grid.device)
        reach = (radius * inverse * shape).long() + 1
        box = torch.cartesian_prod(
            *[torch.arange(-int(r), int(r) + 1, device=shape.device) for r in reach]
        )
        distance = torch.linalg.vector_norm((box / shape) @ self.grid.orth.mT, dim=1)
        return box[distance < radius]

    def _around(self, centre: Tensor, offsets: Tensor) -> Tensor:
        """Flat periodic grid indices of offsets (M, 3) around each centre (B, 3): (B, M)."""
        nu, nv, nw = self.peak_shape
        shape = torch.tensor((nu, nv, nw), device=centre.device)
        i, j, k = torch.remainder(centre[:, None] + offsets, shape).unbind(-1)
        return (i * nv + j) * nw + k


def estimate_atoms(grid: P1Grid, F: Tensor, b_iso: float) -> int:
    """Estimate the number of equal atoms in a phased map.

    The participation ratio (sum rho^2)^2 / sum rho^4 of the positive density is proportional to
    the number of atoms; overlap of bonded atoms lowers it by a fifth.

    Parameters
    ----------
    grid
        The crystal.
    F
        Phased amplitudes, half grid.
    b_iso
        Mean B, A^2; determines the width of one atom.
    """
    model = AtomicModel(grid, 1, b_iso)
    origin = EqualAtoms(
        F.real.new_zeros(1, 1, 3), F.real.new_ones(1, 1), F.real.new_full((1,), b_iso)
    )
    single = model.to_grid(model.structure_factors(origin))[0]
    several, one = (_participation(grid, x) for x in (F, single))
    return max(1, round(several / one / _OVERLAP_OF_BONDED))


def _participation(grid: P1Grid, F: Tensor) -> float:
    rho = real_space(F, grid.shape)
    rho = (rho - rho.flatten().median()).clamp(min=0)
    return float((rho**2).sum() ** 2 / (rho**4).sum())


def _peak_shape(grid: P1Grid) -> Shape:
    nu, nv, nw = (
        smooth_size(max(n, math.ceil(float(length) / _PEAK_GRID)))
        for n, length in zip(grid.shape, torch.linalg.vector_norm(grid.orth, dim=0), strict=True)
    )
    return nu, nv, nw
