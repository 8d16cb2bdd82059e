"""Ordered waters: peaks of both maps at hydrogen-bond distance from the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.map_values import SAMPLE_RATE, MapValues
from crysformer.building.model_atoms import WATER, count_waters, residue_number
from crysformer.crystal.peak_picking import PeakPicker, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
from crysformer.settings import setting

_POLAR: Final = (7, 8)
_CHAIN: Final = "W"


@dataclass(frozen=True)
class OrderedWaterSettings:
    """Waters of a refined model."""

    rounds: int = setting(4, "Maps in which waters are sought.", min=0, max=50)
    min_peak: float = setting(3.5, "Height in mFo-DFc, in units of its rms.", min=0.0, max=20.0)
    min_density: float = setting(
        1.0, "Density in 2mFo-DFc, likewise; waters below it are removed again.", min=-5.0, max=20.0
    )
    weak_peak: float = setting(
        3.0, "Height in mFo-DFc at last, with fewer than 300 free reflections: in so small a cell "
        "the atoms make most of the rms.", min=0.0, max=20.0,
    )  # fmt: skip
    weak_density: float = setting(0.5, "Density in 2mFo-DFc, likewise.", min=-5.0, max=20.0)
    nearest: float = setting(2.35, "Least distance from any atom.", unit="A", min=1.0, max=4.0)
    from_carbon: float = setting(
        2.9, "Least distance from a carbon atom.", unit="A", min=1.0, max=5.0
    )
    hydrogen_bond: float = setting(
        3.4, "Largest distance from the nearest nitrogen, oxygen or water.", unit="A", min=2.0,
        max=5.0,
    )  # fmt: skip
    max_b: float = setting(
        80.0, "B above which a water is removed again.", unit="A^2", min=1.0, max=500.0
    )
    reflections_per_water: int = setting(
        20, "Measured reflections for each water at least.", min=1, max=10_000
    )

    @property
    def weak(self) -> OrderedWaterSettings:
        """The settings with the lower limits."""
        return replace(self, min_peak=self.weak_peak, min_density=self.weak_density)


def with_new_waters(
    structure: gemmi.Structure,
    data: CrystalData,
    difference: MapValues,
    density: MapValues,
    settings: OrderedWaterSettings,
) -> tuple[gemmi.Structure, int]:
    """Copy of a model with waters at peaks of the difference map, and their number.

    Parameters
    ----------
    structure
        The model.
    data
        The crystal.
    difference, density
        mFo-DFc and 2mFo-DFc, on the grid of `MapValues.of_coefficients`.
    settings
        Criteria.
    """
    to_frac, orth = frac_matrix(structure.cell), orth_matrix(structure.cell)
    sites = [site for site in structure[0].all() if not site.atom.is_hydrogen()]
    frac = np.array([site.atom.pos.tolist() for site in sites]).reshape(-1, 3) @ to_frac.T
    number = np.array([site.atom.element.atomic_number for site in sites])
    picker = PeakPicker(data, symmetric_shape(data, SAMPLE_RATE), settings.nearest)
    values = difference.values.copy()
    values[picker.special] = -np.inf
    most = int(data.measured.sum()) // settings.reflections_per_water - count_waters(structure)
    peaks, _ = picker.pick(values, frac, max(0, 3 * most), settings.min_peak)
    polar = picker.mates(frac[np.isin(number, _POLAR)])
    carbon = picker.mates(frac[number == 6])
    b_iso = 1.5 * float(np.median([site.atom.b_iso for site in sites]))
    chosen: list[NDArray[np.float64]] = []
    for peak in peaks:
        if len(chosen) >= most:
            break
        bonded = picker.distance(polar - peak).min(initial=np.inf) < settings.hydrogen_bond
        close = picker.distance(carbon - peak).min(initial=np.inf) < settings.from_carbon
        seen = float(density.at(orth @ peak)) > settings.min_density
        if bonded and not close and seen:
            chosen.append(peak)
            polar = np.concatenate((polar, picker.mates(peak[None])))
    copy = structure.clone()
    for site in chosen:
        _add_water(copy, orth @ site, b_iso)
    return copy, len(chosen)


def without_poor_waters(
    structure: gemmi.Structure, density: MapValues, settings: OrderedWaterSettings
) -> tuple[gemmi.Structure, int]:
    """Copy of a model without waters that the map does not show, and the number removed."""
    copy, removed = structure.clone(), 0
    for chain in copy[0]:
        for i in reversed(range(len(chain))):
            if chain[i].name != WATER:
                continue
            oxygen = chain[i].find_atom("O", "*")
            value = -np.inf
            if oxygen is not None:
                value = float(density.at(np.array(oxygen.pos.tolist())))
            if value < settings.min_density or oxygen.b_iso > settings.max_b:
                del chain[i]
                removed += 1
    copy.remove_empty_chains()
    return copy, removed


def _add_water(structure: gemmi.Structure, xyz: NDArray[np.float64], b_iso: float) -> None:
    model = structure[0]
    chain = next((c for c in model if c.name == _CHAIN), None)
    if chain is None:
        chain = model.add_chain(gemmi.Chain(_CHAIN))
    residue = gemmi.Residue()
    residue.name = WATER
    residue.seqid = gemmi.SeqId(max(map(residue_number, chain), default=0) + 1, " ")
    residue.entity_type = gemmi.EntityType.Water
    atom = gemmi.Atom()
    atom.name, atom.element = "O", gemmi.Element("O")
    atom.pos, atom.occ, atom.b_iso = gemmi.Position(*xyz.tolist()), 1.0, b_iso
    residue.add_atom(atom)
    chain.add_residue(residue)
