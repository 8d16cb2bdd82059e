"""Data of a crystal before phasing: cell, space group and measured amplitudes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.provenance import Provenance
from crysformer.crystal.unit_cell import cell_text, frac_matrix, orth_matrix
from crysformer.inline_html import card

Radiation = Literal["xray", "electron"]
Kind = Literal["amplitudes", "intensities"]


@dataclass(frozen=True, eq=False, repr=False)
class CrystalData:
    """Measured amplitudes of one crystal.

    Attributes
    ----------
    cell
        Unit cell (A, degrees).
    space_group
        Space group, in the setting of the input.
    hkl
        Miller indices, shape (n, 3), int32; one row for each unique reflection, in the asymmetric
        unit and order of the input.
    f
        Amplitudes F, shape (n,), float64, on the input's scale; NaN where not measured.
    sigf
        Standard uncertainties of `f`, shape (n,), or None.
    free
        Free-R flags as in the input, shape (n,), int32, or None.
    radiation
        Which scattering factors apply.
    source
        The file the data came from, for messages.
    labels
        The columns used, for example ``("FP", "SIGFP")``.
    notes
        Corrections and assumptions made on reading, each one sentence for the user.
    warnings
        What the file shows to be wrong or doubtful, likewise.
    kind
        What the columns used hold: amplitudes, or intensities that became amplitudes.
    free_label
        The column of the free flags, empty without.
    wavelength
        As the file gives it, A, or None.
    data_set
        The data set (MTZ) or block (CIF) of the file that was used, where it has a name.
    space_group_known
        False where `space_group` stands only for the Laue class in which the data are merged.
    provenance
        Description that files written later keep.
    """

    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    hkl: NDArray[np.int32]
    f: NDArray[np.float64]
    sigf: NDArray[np.float64] | None = None
    free: NDArray[np.int32] | None = None
    radiation: Radiation = "xray"
    source: str = ""
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kind: Kind = "amplitudes"
    free_label: str = ""
    wavelength: float | None = None
    data_set: str = ""
    space_group_known: bool = True
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        n = len(self.f)
        if self.hkl.shape != (n, 3):
            raise ValueError(f"hkl has shape {self.hkl.shape}, expected ({n}, 3)")
        for name in ("sigf", "free"):
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise ValueError(f"{name} has shape {column.shape}, expected ({n},)")

    def __len__(self) -> int:
        return len(self.f)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Flags of the reflections with an amplitude, shape (n,); F(000) never counts."""
        return np.isfinite(self.f) & self.hkl.any(axis=1)

    @property
    def d(self) -> NDArray[np.float64]:
        """Resolution of each reflection in A, shape (n,)."""
        return np.asarray(self.cell.calculate_d_array(self.hkl), dtype=np.float64)

    @property
    def d_min(self) -> float:
        """Highest resolution among the measured reflections, A."""
        return float(self.d[self.measured].min())

    @property
    def d_max(self) -> float:
        """Lowest resolution among the measured reflections, A."""
        return float(self.d[self.measured].max())

    @property
    def orth(self) -> NDArray[np.float64]:
        """Orthogonalisation matrix, shape (3, 3), A: Cartesian = orth @ fractional."""
        return orth_matrix(self.cell)

    @property
    def to_frac(self) -> NDArray[np.float64]:
        """Fractionalisation matrix, shape (3, 3), A^-1: fractional = to_frac @ Cartesian."""
        return frac_matrix(self.cell)

    @property
    def scattering_vectors(self) -> NDArray[np.float64]:
        """Scattering vectors s in the Cartesian frame, shape (n, 3), A^-1; |s| = 1/d."""
        return np.asarray(self.hkl @ self.to_frac)

    def select(self, keep: NDArray[np.bool_]) -> CrystalData:
        """Choose reflections of the same crystal.

        Parameters
        ----------
        keep
            Flags of those that stay, shape (n,).

        Returns
        -------
        CrystalData
            With their rows only, in order.
        """
        return replace(
            self,
            hkl=self.hkl[keep],
            f=self.f[keep],
            sigf=None if self.sigf is None else self.sigf[keep],
            free=None if self.free is None else self.free[keep],
        )

    def to_gemmi(self) -> gemmi.Mtz:
        """Copy to an MTZ in memory.

        Returns
        -------
        gemmi.Mtz
            H K L, F, SIGF and FreeR_flag, the last two where there are any; every row, in order.
        """
        from crysformer.crystal.io.write import mtz_with

        return mtz_with(self, self.free, [])

    def to_dataset(self) -> Any:
        """Copy to a data set of reciprocalspaceship (extra ``reciprocalspaceship``).

        Returns
        -------
        reciprocalspaceship.DataSet
            With the columns of `to_gemmi`.

        Raises
        ------
        UsageError
            If that package is not installed.
        """
        from crysformer.crystal.io.dataset import to_dataset

        return to_dataset(self.to_gemmi())

    def _rows(self) -> dict[str, object]:
        n = int(self.measured.sum())
        known = self.space_group_known
        group = self.space_group.xhm() if known else f"Laue class {self.space_group.laue_str()}"
        return {
            "source": self.source,
            "measured": f"{n} of {len(self)} reflections",
            "resolution": f"{self.d_max:.2f} to {self.d_min:.2f} Å" if n else "",
            "space group": group,
            "cell": cell_text(self.cell),
            "columns": ", ".join(self.labels),
            "free set": self.free_label,
            "radiation": self.radiation,
        }

    def __repr__(self) -> str:
        rows = self._rows()
        names = ("measured", "resolution", "space group", "cell")
        shown = ", ".join(str(rows[name]) for name in names if rows[name])
        return f"<CrystalData{' ' if self.source else ''}{self.source}: {shown}>"

    def _repr_html_(self) -> str:
        return card("Crystal data", self._rows(), warning="; ".join(self.warnings))
