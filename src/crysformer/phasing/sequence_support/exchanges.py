"""Other residue types in place of each residue of a model, fitted to the amplitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor

from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import map_on_grid, minimum_image, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.merit.r_factor import amplitude_scale
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.sequence_support.side_chains import (
    BACKBONE,
    TYPES,
    SideChain,
    padded,
    side_chain,
)
from crysformer.settings import setting

_OXYGEN = 8
_FEWEST = 1000  # reflections that are compared whatever the symmetry
_SAMPLE_RATE = 3.0  # grid points of the difference map per d_min
_LOG_B_SIGMA = 0.4  # standard deviation of log B of a side chain around that of its backbone
_WATER_REACH = 1.2  # A from an atom of any conformation: such waters are left out


@dataclass(frozen=True)
class ExchangeSettings:
    """Residue types tried in place of each residue of a peptide model."""

    rotamers: int = setting(
        3, "Rotamers of each type, by density, whose amplitudes are compared.", min=1, max=50
    )
    types: int = setting(5, "Types that are refined, besides the given one.", min=1, max=18)
    steps: int = setting(25, "Steps of Adam.", min=1, max=1000)
    reflections: int = setting(
        8000,
        "Reflections with their symmetry mates, beyond which a random part of them is compared.",
        min=100,
        max=10_000_000,
    )
    position_step: float = setting(
        0.05, "First step size of coordinates.", unit="A", min=1e-3, max=1.0
    )


@dataclass(frozen=True, eq=False)
class Fit:
    """A side chain fitted in place of that of a residue.

    Attributes
    ----------
    letter
        Residue type.
    names
        Its m atoms.
    xyz
        Shape (m, 3), A.
    b_iso
        Shape (m,), A^2.
    log_likelihood
        Natural logarithm, of the amplitudes and the restraints of the side chain, up to a constant
        that all types of the residue share.
    """

    letter: str
    names: tuple[str, ...]
    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    log_likelihood: float


class SideChainExchange:
    """Exchange of the side chains of one model, each with the rest of the model fixed.

    Parameters
    ----------
    data
        The crystal, in the setting of the model.
    model
        The model.
    settings
        Numbers of rotamers, types and steps.

    Attributes
    ----------
    n_reflections
        Measured reflections that are compared.
    """

    def __init__(
        self, data: CrystalData, model: PeptideModel, settings: ExchangeSettings | None = None
    ) -> None:
        self.data, self.model = data, model
        self.settings = settings or ExchangeSettings()
        self._operators = list(operators(data.space_group, centred=True))
        self._used = used = data.measured & np.isfinite(model.F)
        most = max(_FEWEST, self.settings.reflections // len(self._operators))
        rows = np.arange(int(used.sum()))
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
        self._rows = rows  # of the measured reflections
        self.n_reflections = len(rows)
        self._orth = torch.as_tensor(data.orth, dtype=torch.float32)
        self._hkl = torch.as_tensor(data.hkl[used]).float()
        self._observed = torch.as_tensor(data.f[used]).float()
        self._shape = symmetric_shape(data, _SAMPLE_RATE)
        self._xyz = np.concatenate((model.xyz, model.waters))
        self._b_iso = np.concatenate((model.b_iso, model.waters_b))
        waters = np.full(len(model.waters), _OXYGEN)
        self._number = np.concatenate((model.peptides.number, waters))
        own = self._of_atoms(np.arange(len(self._number)))
        self._F = torch.as_tensor(model.F[used]).to(torch.complex64)
        # what bulk solvent, anisotropy and the scale make of the atoms' structure factors; 0 / 0
        # would be of a reflection without any amplitude
        self._factor = self._F.abs() / own.abs().clamp(min=1e-3 * float(own.abs().mean()))

    def fits(self, residue: int, deadline: float = math.inf) -> list[Fit]:
        """The most likely side chains at a residue, the given type first, then best first.

        Empty for a residue whose type cannot be exchanged (proline).
        """
        p = self.model.peptides
        letter = p.codes[residue]
        if letter not in TYPES:
            return []
        rows = np.flatnonzero(p.residue == residue)
        named = {p.names[i]: i for i in rows.tolist()}
        backbone = self.model.xyz[[named[name] for name in ("N", "CA", "C")]]
        own = [i for name, i in named.items() if name not in BACKBONE and "." not in name]
        mirrored = residue in p.d_residues
        chains = [side_chain(code, mirrored) for code in TYPES]
        reach = np.concatenate([chain.on(backbone).reshape(-1, 3) for chain in chains])
        near = self._near_waters(reach)
        F_rest = self._F - self._factor * self._of_atoms(np.array([*own, *near], dtype=np.int64))
        log_b = math.log(float(np.mean(self.model.b_iso[[named[n] for n in ("N", "CA", "C")]])))
        density = self._difference_map(F_rest)
        tried: list[tuple[SideChain, NDArray[np.float64]]] = []
        for chain in chains:
            placed = chain.on(backbone)
            if not chain.names:
                tried.append((chain, placed[0]))
                continue
            value = (self._at(density, placed) * chain.number).sum(1)
            best = np.argsort(-value)[: self.settings.rotamers]
            tried += [(chain, placed[i]) for i in best.tolist()]
        given = side_chain(letter, mirrored)
        present = self.model.xyz[[named[name] for name in given.names]]
        tried.append((given, present.reshape(-1, 3)))
        rated = self._refined(tried, backbone, F_rest, log_b, 0, deadline)
        order = sorted(range(len(tried)), key=lambda i: -rated[i].log_likelihood)
        kept, seen = [len(tried) - 1], set[str]()
        for i in order:
            code = tried[i][0].letter
            if code in seen or i == len(tried) - 1:
                continue
            if code == letter or len(seen - {letter}) < self.settings.types:
                seen.add(code)
                kept.append(i)
        chosen = [tried[i] for i in kept]
        found = self._refined(chosen, backbone, F_rest, log_b, self.settings.steps, deadline)
        ranked = sorted(found, key=lambda fit: -fit.log_likelihood)
        first = next(fit for fit in ranked if fit.letter == letter)
        return [first, *(fit for fit in ranked if fit.letter != letter)]

    def _refined(
        self,
        tried: list[tuple[SideChain, NDArray[np.float64]]],
        backbone: NDArray[np.float64],
        F_rest: Tensor,
        log_b: float,
        steps: int,
        deadline: float,
    ) -> list[Fit]:
        """Refine side chains, all at once, each with the rest of the model."""
        chains = [chain for chain, _ in tried]
        number, pairs, distance, weight = padded(chains)
        m = number.shape[1] - 3
        start = np.zeros((len(tried), m, 3))
        for i, (chain, xyz) in enumerate(tried):
            start[i, : len(chain.names)] = xyz
        x = torch.as_tensor(start).float().requires_grad_(steps > 0)
        b = torch.full((len(tried), m), log_b).requires_grad_(steps > 0)
        fixed = torch.as_tensor(backbone).float().expand(len(tried), 3, 3)
        numbers = torch.as_tensor(number[:, :m])
        first, second = (torch.as_tensor(pairs[..., i]) for i in (0, 1))
        ideal, restraint = torch.as_tensor(distance).float(), torch.as_tensor(weight).float()
        rows = torch.as_tensor(self._rows)
        hkl, observed = self._hkl[rows], self._observed[rows]
        factor, F_rest = self._factor[rows], F_rest[rows]

        def cost() -> Tensor:
            atoms = torch.cat((x, fixed), dim=1)
            a, c = (atoms.gather(1, i[..., None].expand(-1, -1, 3)) for i in (first, second))
            chi_squared = (restraint * (torch.linalg.vector_norm(a - c, dim=2) - ideal) ** 2).sum(1)
            prior = (((b - log_b) / _LOG_B_SIGMA) ** 2).sum(1)  # zero for atoms that are not there
            F = F_rest + factor * self._structure_factors(x, b.exp(), numbers, hkl)
            amplitude = F.abs()
            scale = amplitude_scale(observed, amplitude)
            misfit = ((observed - scale[:, None] * amplitude) ** 2).sum(1)
            return len(observed) * misfit.log() + chi_squared + prior

        if steps and m:
            rates = (self.settings.position_step, 0.1)
            minimise(
                (x, b),
                lambda: torch.autograd.grad(cost().sum(), (x, b)),
                rates,
                steps,
                final_rates=(1e-3, 1e-3),
                limits=(None, (0.0, math.log(100.0))),
                betas=(0.8, 0.95),
                deadline=deadline,
            )
        with torch.no_grad():
            likelihood = -0.5 * cost()
        return [
            Fit(
                chain.letter,
                chain.names,
                x[i, : len(chain.names)].detach().double().numpy(),
                b[i, : len(chain.names)].detach().exp().double().numpy(),
                float(likelihood[i]),
            )
            for i, chain in enumerate(chains)
        ]

    def _structure_factors(self, xyz: Tensor, b_iso: Tensor, number: Tensor, hkl: Tensor) -> Tensor:
        """Structure factors of atoms (B, m) and their mates, shape (B, n); number 0 is no atom."""
        to_frac = torch.as_tensor(self.data.to_frac).float()
        frac = xyz @ to_frac.mT
        mates = [
            frac @ torch.as_tensor(r).to(frac).mT + torch.as_tensor(t).to(frac)
            for r, t in self._operators
        ]
        repeat = (1, len(mates))
        batch = AtomBatch(
            frac=torch.cat(mates, dim=1),
            number=number.clamp(min=6).repeat(repeat),
            b_iso=b_iso.repeat(repeat),
            occupancy=(number > 0).to(frac).repeat(repeat),
        )
        return structure_factors(batch, self._orth, hkl, self.data.radiation)

    def _of_atoms(self, rows: NDArray[np.int64]) -> Tensor:
        """Structure factors of some atoms of the model with their mates, shape (n,)."""
        if not len(rows):
            return torch.zeros(len(self._hkl), dtype=torch.complex64)
        xyz, b_iso = (torch.as_tensor(v[rows]).float()[None] for v in (self._xyz, self._b_iso))
        number = torch.as_tensor(self._number[rows])[None]
        return self._structure_factors(xyz, b_iso, number, self._hkl)[0]

    def _near_waters(self, reach: NDArray[np.float64]) -> list[int]:
        """Rows of waters that a side chain of the residue may reach."""
        n, found = len(self.model.peptides.number), []
        frac = reach @ self.data.to_frac.T
        for i, water in enumerate(self.model.waters @ self.data.to_frac.T):
            step = [minimum_image(frac - (r @ water + t)) for r, t in self._operators]
            distance = np.linalg.norm(np.concatenate(step) @ self.data.orth.T, axis=1)
            if distance.min() < _WATER_REACH:
                found.append(n + i)
        return found

    def _difference_map(self, F_rest: Tensor) -> NDArray[np.float64]:
        """Density that the rest of the model lacks, over the unit cell."""
        amplitude = F_rest.abs()
        lacking = (self._observed - amplitude) * F_rest / amplitude.clamp(min=1e-6)
        coefficients = np.zeros(len(self._used), dtype=np.complex128)
        coefficients[self._used] = lacking.numpy()
        return map_on_grid(self.data, coefficients[self.data.measured], self._shape)

    def _at(self, density: NDArray[np.float64], xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Density at Cartesian positions (..., 3)."""
        grid = xyz @ self.data.to_frac.T * self._shape
        at = np.moveaxis(grid, -1, 0).reshape(3, -1)
        return map_coordinates(density, at, order=1, mode="grid-wrap").reshape(xyz.shape[:-1])
