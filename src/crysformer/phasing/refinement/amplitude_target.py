"""Correlation of calculated with measured amplitudes for many models, and its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.miller_box import MillerBox, p1_reflections, sum_over_symmetry
from crysformer.phasing.refinement.scattering_groups import scattering_groups

# Pairs of atoms at a distance r overlap by exp(-r^2 / width); terms beyond d_min are negligible.
_OVERLAP_WIDTH = 4.1  # A^2
_OVERLAP_D_MIN = 2.6  # A
# With solvent the weight of a reflection is 1 - fraction exp(-B / (4 d^2)): on measured data right
# poses then stand out more from wrong ones, and on crystals without solvent little is lost.
_SOLVENT_FRACTION, _SOLVENT_B = 0.9, 100.0  # -, A^2
# Bytes of the waves of one part of a batch: on one thread what the caches of a core hold; more for
# each of several threads, because they share every operation of a part. On an accelerator the bytes
# of all arrays, of which `_ARRAYS_OF_BOX` are as large as the box.
_BYTES, _BYTES_PER_THREAD, _BYTES_ACCELERATOR, _ARRAYS_OF_BOX = 6e5, 1.2e6, 1e9, 16
_LIMIT_TOLERANCE = 1e-5  # relative, of d_min
_TINY = 1e-12  # least intensity and variance, against division by zero


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Correlations and their gradient.

    Attributes
    ----------
    correlation
        Correlation of measured and calculated amplitudes, shape (B,).
    overlap
        Overlap of atoms, shape (B,): see `AmplitudeTarget`.
    score
        Objective to maximise: the correlation less the penalty of overlap, shape (B,).
    gradient
        Gradient of the score with respect to Cartesian coordinates, shape (B, n, 3), 1/A; None if
        it was not asked for.
    """

    correlation: Tensor
    overlap: Tensor
    score: Tensor
    gradient: Tensor | None


class AmplitudeTarget:
    """Correlation of |Fo| and |Fc| for atoms in the crystal's own space group.

    Atoms of one asymmetric unit are summed once, on a box of Miller indices, where exp(2 pi i h.x)
    is a product of one factor per axis and the sum over atoms a matrix product. The operators of
    the space group only permute that box: F(h) = sum over (R, t) of F_asu(hR) exp(2 pi i h.t).

    Real crystals have no overlapping molecules, whereas most wrong poses that fit amplitudes do.
    The sum of exp(-r^2 / 4.1 A^2) over all atom pairs, within and between the molecules of the
    crystal, is a sum over |F|^2 of low resolution (without F(000) and constant terms), so that the
    penalty costs next to nothing.

    Parameters
    ----------
    data
        The crystal, any space group.
    number
        Atomic numbers of the asymmetric unit, shape (n,).
    b_iso
        B of every atom, A^2.
    d_min, d_max
        Limits of resolution, A.
    overlap
        Weight of the overlap: the correlation that balances one overlapping pair per atom.
    by_element
        Give each element its own scattering factor; otherwise all have that of carbon times a
        constant, which is a little less exact and faster.
    solvent
        Give less weight to reflections of low resolution, to which bulk solvent contributes.
    device
        Compute device.
    """

    def __init__(
        self,
        data: CrystalData,
        number: NDArray[np.int64],
        b_iso: float,
        d_min: float = 0.0,
        d_max: float = math.inf,
        overlap: float = 0.0,
        by_element: bool = False,
        solvent: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        used = data.measured & (data.d >= d_min * (1 - _LIMIT_TOLERANCE)) & (data.d <= d_max)
        self.used = used
        hkl, f = p1_reflections(data, used, _OVERLAP_D_MIN if overlap > 0 else None)
        self.box = MillerBox(hkl)
        self._place, self._conjugate = self.box.index(data.hkl[used].astype(np.int64))
        box, half = self.box.index(hkl)
        keep = ~half
        size = math.prod(self.box.shape)
        measured = torch.as_tensor(np.isfinite(f[keep]), device=device)
        counted = np.where(hkl[:, self.box.axes[2]] == 0, 0.5, 1.0)[keep]
        trusted = np.ones(len(counted))
        if solvent:
            d = np.array(data.cell.calculate_d_array(hkl[keep].astype(np.int32)))
            trusted -= _SOLVENT_FRACTION * np.exp(-0.25 * _SOLVENT_B * d**-2.0)
        self.f = torch.zeros(size, device=device)
        self.f[box[keep]] = torch.as_tensor(np.nan_to_num(f[keep]), dtype=torch.float32).to(device)
        all_weight = torch.zeros(size, device=device)
        all_weight[box[keep]] = torch.as_tensor(counted, dtype=torch.float32, device=device)
        self.weight = torch.zeros(size, device=device)
        trust = torch.as_tensor(trusted, dtype=torch.float32, device=device)
        self.weight[box[keep]] = all_weight[box[keep]] * measured * trust
        self.weight /= self.weight.sum()
        self.n_reflections = int(used.sum())

        self.mates = self.box.mates(hkl[keep], data.space_group, device)
        everywhere = self.box.hkl
        s_sq = torch.as_tensor(
            np.maximum(np.array(data.cell.calculate_d_array(everywhere.astype(np.int32))), 1e-3)
            ** -2.0
            * np.any(everywhere != 0, axis=1),
            dtype=torch.float32,
        )
        to_frac = data.to_frac
        self.to_frac = torch.as_tensor(
            to_frac[list(self.box.axes)], dtype=torch.float32, device=device
        )
        self.waves = [2 * math.pi * r.to(torch.float32).to(device) for r in self.box.ranges]
        y, z = torch.meshgrid(self.waves[1], self.waves[2], indexing="ij")
        self.yz = torch.stack((y.flatten(), z.flatten()), dim=1)
        self.groups = [
            (rows.to(device), weight.to(device), f.to(device))
            for rows, weight, f in scattering_groups(
                number, s_sq, b_iso, by_element, self.weight.cpu(), data.radiation
            )
        ]
        self.overlap = overlap
        self.pairs = self._pair_terms(data, len(number), s_sq.to(device)) * all_weight
        observed = self.f - (self.weight * self.f).sum()
        self.observed = observed / (self.weight * observed**2).sum().sqrt()
        largest = max(len(rows) for rows, _, _ in self.groups)
        self._pose_bytes = 8 * largest * self.box.shape[1] * self.box.shape[2]

    def _pair_terms(self, data: CrystalData, n_atoms: int, s_sq: Tensor) -> Tensor:
        """Factors (box,) of |F|^2 whose sum is the overlap per atom; `s_sq` is 1/d^2, A^-2.

        Pairs are weighted by the scattering of their atoms.
        """
        n_centring = len(data.space_group.operations().cen_ops)
        n_cell = n_atoms * (1 + len(self.mates)) / n_centring  # F is without centring
        mean_f = sum(w.sum() * f**2 for _, w, f in self.groups) / n_atoms
        pairs = 2 * (math.pi * _OVERLAP_WIDTH) ** 1.5 / data.cell.volume / n_cell
        kernel = torch.exp(-(math.pi**2) * _OVERLAP_WIDTH * s_sq) / mean_f
        return pairs * kernel * (s_sq > 0)

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Correlation, shape (B,), of Cartesian coordinates (B, n, 3), A, and its gradient."""
        parts = [self._evaluate(part, gradient) for part in xyz.split(self._part(xyz.device))]
        return Evaluation(
            torch.cat([p.correlation for p in parts]),
            torch.cat([p.overlap for p in parts]),
            torch.cat([p.score for p in parts]),
            torch.cat([p.gradient for p in parts if p.gradient is not None]) if gradient else None,
        )

    def _part(self, device: torch.device) -> int:
        """Number of poses evaluated together."""
        if device.type != "cpu":
            box = 4 * _ARRAYS_OF_BOX * math.prod(self.box.shape)
            return max(4, int(_BYTES_ACCELERATOR / (2 * self._pose_bytes + box)))
        threads = torch.get_num_threads()
        held = _BYTES if threads == 1 else _BYTES_PER_THREAD * threads
        return max(4, int(held / self._pose_bytes))

    def structure_factors(self, xyz: Tensor) -> NDArray[np.complex128]:
        """F of all reflections of the data, shape (B, n), electrons; NaN outside the limits."""
        fr, fi, _ = self._sum(xyz)
        values = (fr.cpu().double().numpy() + 1j * fi.cpu().double().numpy())[:, self._place]
        out = np.full((len(xyz), len(self.used)), np.nan, dtype=np.complex128)
        out[:, self.used] = np.where(self._conjugate, values.conj(), values)
        return out

    def _sum(self, xyz: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Fr, Fi, and the waves of each group along x (B, 2 nx, 2 n) and y, z (B, ny nz, 2 n)."""
        total, kept = self.asymmetric(xyz)
        return *sum_over_symmetry(total, self.mates), kept

    def asymmetric(
        self, xyz: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Fr and Fi (B, 2, box) of the atoms in `mask` (B, n) before symmetry, and the waves."""
        batch, (nx, ny, nz) = len(xyz), self.box.shape
        frac = (xyz @ self.to_frac.mT).mT
        kept = []
        total: Tensor | None = None
        for rows, weight, f in self.groups:
            n = len(rows)
            if mask is not None:
                weight = weight * mask[:, None, rows]
            x, y, z = (frac[:, i, None, rows] * wave[:, None] for i, wave in enumerate(self.waves))
            # atoms last, so that all products run along memory
            left = x.new_empty(batch, 2, nx, 2, n)
            torch.mul(x.cos(), weight, out=left[:, 0, :, 0])
            torch.mul(x.sin(), weight, out=left[:, 1, :, 0])
            torch.neg(left[:, 1, :, 0], out=left[:, 0, :, 1])
            left[:, 1, :, 1] = left[:, 0, :, 0]
            right = x.new_empty(batch, ny, nz, 2, n)
            y_r, y_i = y.cos()[:, :, None], y.sin()[:, :, None]
            z_r, z_i = z.cos()[:, None], z.sin()[:, None]
            torch.mul(y_r, z_r, out=right[..., 0, :]).addcmul_(y_i, z_i, value=-1)
            torch.mul(y_r, z_i, out=right[..., 1, :]).addcmul_(y_i, z_r)
            left, right = left.view(batch, 2 * nx, 2 * n), right.view(batch, ny * nz, 2 * n)
            summed = torch.bmm(left, right.mT).view(batch, 2, nx * ny * nz).mul_(f)
            total = summed if total is None else total.add_(summed)
            kept.append((left, right))
        assert total is not None
        return total, kept

    def rate(self, fr: Tensor, fi: Tensor, rows: Tensor | None = None) -> tuple[Tensor, ...]:
        """Correlation of structure factors with the data, and the terms of its gradient.

        Parameters
        ----------
        fr, fi
            Real and imaginary parts on the box, or on some of its elements, shape (B, elements).
        rows
            Those elements, which must hold all measured reflections; the whole box if omitted.

        Returns
        -------
        (correlation, overlap, score, amplitude, centred, spread)
            Shape (B,) for the first three; |F| and |F| less its weighted mean, shape (B, elements);
            standard deviation of |F|, shape (B, 1).
        """
        weight, observed, pairs = (
            x if rows is None else x[rows] for x in (self.weight, self.observed, self.pairs)
        )
        intensity = fr * fr + fi * fi
        overlap = intensity @ pairs
        amplitude = intensity.clamp_(min=_TINY).sqrt_()
        mean = amplitude @ weight
        centred = amplitude - mean[:, None]
        spread = ((centred * centred) @ weight).clamp_(min=_TINY).sqrt_()[:, None]
        correlation = (amplitude @ (weight * observed))[:, None] / spread
        score = correlation[:, 0] - self.overlap * overlap
        return correlation[:, 0], overlap, score, amplitude, centred, spread

    def _evaluate(self, xyz: Tensor, gradient: bool) -> Evaluation:
        fr, fi, kept = self._sum(xyz)
        found, slope = self._rated(fr, fi, gradient)
        if slope is None:
            return found
        out = xyz.new_empty(xyz.shape)
        count = 1 + len(self.mates)  # every mate moves with the asymmetric unit
        for (rows, _weight, f), (left, right) in zip(self.groups, kept, strict=True):
            out[:, rows] = self._back(slope * f * count, fr, fi, left, right)
        return replace(found, gradient=out @ self.to_frac)

    def _rated(self, fr: Tensor, fi: Tensor, gradient: bool) -> tuple[Evaluation, Tensor | None]:
        """Figures of structure factors (B, box), and the slope of the score.

        That is its derivative with respect to |F| divided by |F|, shape (B, box); None if no
        gradient was asked for.
        """
        found, overlap, score, amplitude, centred, spread = self.rate(fr, fi)
        figures = Evaluation(found, overlap, score, None)
        if not gradient:
            return figures, None
        slope = (self.observed - centred * (found[:, None] / spread)) * self.weight
        slope /= spread * amplitude
        if self.overlap > 0:
            slope -= 2 * self.overlap * self.pairs
        return figures, slope

    def _back(self, slope: Tensor, fr: Tensor, fi: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Gradient with respect to fractional coordinates, in the order of the axes of the box."""
        batch, nx, n = len(slope), self.box.shape[0], left.shape[2] // 2
        d = torch.stack((slope * fr, slope * fi), dim=1).view(batch, 2 * nx, -1)
        d_left, d_right = torch.bmm(d, right), torch.bmm(d.mT, left)
        xr, xi = left[:, :nx, :n], left[:, nx:, :n]
        dxr = d_left[:, :nx, :n] + d_left[:, nx:, n:]
        dxi = d_left[:, nx:, :n] - d_left[:, :nx, n:]
        along_x = self.waves[0] @ (dxi * xr).addcmul_(dxr, xi, value=-1)
        d_phase = (d_right[..., n:] * right[..., :n]).addcmul_(
            d_right[..., :n], right[..., n:], value=-1
        )
        return torch.cat((along_x[:, None], self.yz.mT @ d_phase), dim=1).mT
