"""Densities of torsion angles in deposited models, tabulated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import product

import numpy as np
from numpy.typing import NDArray

from crysformer.building.validation.residue_topology import chi_period

Array = NDArray[np.float64]

_TABLES = "torsions.json"


@dataclass(frozen=True, eq=False)
class TorsionDensity:
    """Density of one to four torsion angles of a class of residues.

    Three and more torsions are a chain of pairs: the density of (chi 1, chi 2), times that of
    chi 3 for this chi 2, and so on.

    Attributes
    ----------
    tables
        Logarithms of the densities of pairs of neighbouring torsions (of the only one), in units
        of the uniform density; point i of n at -180 degrees + i / n of the period.
    periods
        Of the torsions, degrees.
    levels, fractions
        Logarithms of the density that these fractions of the residues lie below.
    """

    tables: tuple[Array, ...]
    periods: tuple[float, ...]
    levels: Array
    fractions: Array

    def log_density(self, angles: Array) -> Array:
        """Logarithm of the density at torsion angles (n, k), degrees, shape (n,)."""
        if len(self.periods) == 1:
            return interpolate(self.tables[0], angles, self.periods)
        total = np.zeros(len(angles))
        for k, table in enumerate(self.tables):
            total += interpolate(table, angles[:, k : k + 2], self.periods[k : k + 2])
            if k:
                total -= interpolate(marginal(table), angles[:, k : k + 1], self.periods[k : k + 1])
        return total

    def score(self, angles: Array) -> Array:
        """Fraction of residues at lower density than torsion angles (n, k), degrees, shape (n,).

        0 below the lowest of `levels`.
        """
        return np.asarray(np.interp(self.log_density(angles), self.levels, self.fractions, left=0))


def marginal(table: Array) -> Array:
    """Logarithm of the density of the first torsion of a pair, from that of both."""
    return np.asarray(np.log(np.exp(table).mean(axis=1)))


def interpolate(table: Array, angles: Array, periods: tuple[float, ...]) -> Array:
    """Linear interpolation in a periodic table.

    Parameters
    ----------
    table
        Shape (n_1, ..., n_k); point i at -180 degrees + i / n of the period.
    angles
        Shape (m, k), degrees.
    periods
        Of the k axes, degrees.
    """
    sizes = np.array(table.shape)
    place = (angles + 180.0) / np.array(periods) * sizes
    low = np.floor(place).astype(int)
    part = place - low
    total = np.zeros(len(angles))
    for corner in product((0, 1), repeat=table.ndim):
        at = np.array(corner)
        share = np.where(at, part, 1 - part).prod(axis=1)
        total += share * table[tuple(((low + at) % sizes).T)]
    return total


@lru_cache(maxsize=1)
def ramachandran_densities() -> dict[str, TorsionDensity]:
    """Densities of (phi, psi) by class of residue (`backbone.ramachandran_class`)."""
    content = _content()
    return {
        kind: _density(plot["levels"], [plot["table"]], (360.0, 360.0), content)
        for kind, plot in content["ramachandran"].items()
    }


@lru_cache(maxsize=1)
def rotamer_densities() -> dict[str, TorsionDensity]:
    """Densities of the side-chain torsions by three-letter name."""
    content, found = _content(), {}
    for name, entry in content["rotamers"].items():
        tables = entry["tables"]
        n = 1 if not isinstance(tables[0][0], list) else len(tables) + 1
        periods = tuple(chi_period(name, k + 1) for k in range(n))
        found[name] = _density(entry["levels"], tables, periods, content)
    return found


def _content() -> dict:
    return json.loads(resources.files(__package__).joinpath(_TABLES).read_text("utf-8"))


def _density(
    levels: list, tables: list, periods: tuple[float, ...], content: dict
) -> TorsionDensity:
    logarithms = tuple(np.array(table, dtype=np.float64) / content["scale"] for table in tables)
    return TorsionDensity(logarithms, periods, np.array(levels), np.array(content["levels_at"]))
