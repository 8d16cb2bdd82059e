"""Result of building: a refined model, its scale, maps and R factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np

from crysformer.building.map_coefficients import MapCoefficients
from crysformer.building.model_atoms import count_waters, heavy_atoms, polymer_chains
from crysformer.building.r_factors import RFactors
from crysformer.building.scaling import ScaledModel
from crysformer.building.tracing.from_amplitudes import map_of
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.projections_svg import projections_svg
from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData
from crysformer.inline_html import card
from crysformer.wording import counted


@dataclass(frozen=True, eq=False, repr=False)
class BuiltModel:
    """A built and refined model.

    Attributes
    ----------
    data
        The crystal that it was refined against.
    free
        The free set, which refinement left out.
    scaled
        The model on the scale of the data.
    coefficients
        Map coefficients of all reflections.
    r
        R factors; R-free is that of the free set.
    k_fold
        R factors pooled over refinements that leave out one part of the data each, where the free
        set is small; else None.
    program
        Name and version of the program that refined it.
    cycles
        Its cycles, all refinements that led to the model together; those of rejected changes do
        not count.
    origin
        Where the first model came from, in words.
    anisotropic, hydrogens
        Whether B are anisotropic, and whether riding hydrogens are in the model.
    notes
        What was assumed, tried and rejected, a sentence each.
    log
        Output of the refinement program, all runs together.
    seconds
        Wall-clock time.
    failure
        What ended building before its time, in one line; empty if nothing did.
    figures
        Figures that the program itself gave last, such as its own ``r_work``.
    ab_initio
        Whether its phases were found from the amplitudes alone, by this package.
    monomers
        Restraints of residues that are none of the twenty, for validation.
    interruption
        The Ctrl-C or SIGTERM that ended building early.
    """

    data: CrystalData
    free: FreeSet
    scaled: ScaledModel
    coefficients: MapCoefficients
    r: RFactors
    k_fold: RFactors | None
    program: str
    cycles: int
    origin: str
    anisotropic: bool
    hydrogens: bool
    notes: tuple[str, ...]
    log: str
    seconds: float
    failure: str = ""
    figures: dict[str, float] | None = None
    ab_initio: bool = False
    monomers: gemmi.MonLib | None = None
    interruption: KeyboardInterrupt | None = None

    @property
    def structure(self) -> gemmi.Structure:
        """The model."""
        return self.scaled.structure

    @property
    def reported(self) -> RFactors:
        """The R factors to quote: k-fold where there are any."""
        return self.k_fold or self.r

    def to_gemmi(self) -> gemmi.Structure:
        """Copy the model.

        Returns
        -------
        gemmi.Structure
            In the setting of the data.
        """
        return self.structure.clone()

    @property
    def density(self) -> DensityMap:
        """The map 2mFo-DFc in the crystal's space group."""
        phase = np.exp(1j * np.radians(self.coefficients.phwt))
        return map_of(self.data, np.asarray(self.coefficients.fwt * phase, dtype=np.complex128))

    def __repr__(self) -> str:
        return f"<BuiltModel: {self._r_factors()}, {self._contents()}, {self.program}>"

    def _repr_html_(self) -> str:
        rows = {
            "contents": self._contents(),
            "start": self.origin,
            "program": f"{self.program}, {self.seconds:.1f} s",
            "notes": "; ".join(self.notes),
        }
        return card(f"Model: {self._r_factors()}", rows, projections_svg(self.density))

    def _r_factors(self) -> str:
        free = self.reported.r_free
        return f"Rwork {self.r.r_work:.3f}" + ("" if free is None else f", Rfree {free:.3f}")

    def _contents(self) -> str:
        entry = self.to_summary()
        names = (("n_residues", "residue"), ("n_chains", "chain"), ("n_waters", "water"))
        return ", ".join(counted(entry[key], noun) for key, noun in names)

    def to_summary(self) -> dict[str, Any]:
        """The entry ``refinement`` of summary.json: plain numbers, strings and lists."""
        structure = self.structure
        n_residues = sum(
            residue.entity_type == gemmi.EntityType.Polymer
            for chain in polymer_chains(structure)
            for residue in chain
        )
        return {
            **self.r.to_summary(),
            "free_set": self.free.note,
            "r_free_k_fold": None if self.k_fold is None else self.k_fold.to_fold_summary(),
            "program": self.program,
            "cycles": self.cycles,
            "start": self.origin,
            "anisotropic": self.anisotropic,
            "hydrogens": self.hydrogens,
            "n_chains": sum(1 for _ in polymer_chains(structure)),
            "n_residues": n_residues,
            "n_atoms": len(heavy_atoms(structure)),
            "n_waters": count_waters(structure),
            **self.scaled.to_summary(),
            "program_figures": {
                name: round(value, 4) for name, value in (self.figures or {}).items()
            },
            "failure": self.failure or None,
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
        }
