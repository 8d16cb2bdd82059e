"""Scale of a model to the measured amplitudes: overall, anisotropic, and bulk solvent.

    F_model = k_overall exp(-2 pi^2 s.U.s) (F_calc + k_sol exp(-b_sol s^2 / 4) F_mask)

U is traceless: the isotropic part of the displacement is added to the B factors of the atoms, so
that they mean something. The solvent is flat outside a mask (Jiang & Brunger, J. Mol. Biol. 243,
100, 1994), with bounded parameters, because unbounded ones act as a negative B where a cell has
little solvent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.model_atoms import B_PER_U, add_b, mean_b
from crysformer.building.model_structure_factors import (
    atomic_structure_factors,
    in_crystal,
    mask_structure_factors,
)
from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.settings import setting

_ROUNDS = 5  # of scale, and B factors of which some reached the least
_NEAR_LIMIT = 0.01  # of a range of solvent parameters, within which one is at its limit
_NO_CHANGE = 0.02  # A^2 of overall B, after which another round changes nothing
#: Electron scattering factors (A) of water to X-ray ones (electrons): 3.04 / 10.
_ELECTRON_SOLVENT = 0.304


@dataclass(frozen=True)
class ScalingSettings:
    """Scale of a model to the amplitudes."""

    least_solvent: float = setting(
        0.01, "Fraction of the cell outside the atoms from which there is bulk solvent.",
        min=0.0, max=1.0,
    )  # fmt: skip
    max_k_sol: float = setting(
        0.6, "Largest density of bulk solvent (water: 0.33); for electrons 0.3 of it.",
        unit="e/A^3", min=0.0, max=2.0,
    )  # fmt: skip
    min_b_sol: float = setting(10.0, "Least B of bulk solvent.", unit="A^2", min=0.0, max=500.0)
    max_b_sol: float = setting(200.0, "Largest B of bulk solvent.", unit="A^2", min=0.0, max=500.0)
    min_b: float = setting(0.5, "Least B that an atom is given.", unit="A^2", min=0.0, max=50.0)
    anisotropic_from: int = setting(
        100, "Reflections from which the scale may depend on direction and on solvent.", min=10
    )


@dataclass(frozen=True, eq=False)
class ScaledModel:
    """A model on the scale of the data.

    Attributes
    ----------
    structure
        A copy of the model, the isotropic part of the scale put into its B factors.
    F_calc
        Structure factors of its atoms, shape (n,), electrons (A for electron diffraction).
    F_mask
        Fourier transform of the solvent mask, shape (n,), A^3.
    F_model
        Total, shape (n,), on the scale of `data.f`; of unmeasured reflections as well.
    k_overall
        Scale factor.
    u_aniso
        Traceless anisotropic displacement of the whole crystal, Cartesian, A^2, that its point
        group allows.
    k_sol, b_sol
        Density (e/A^3) and B (A^2) of bulk solvent; `k_sol` is zero without.
    b_shift
        What was added to the B factors of the model that was given, A^2.
    b_rest
        Isotropic B left in the scale, A^2: zero unless atoms reached the least B.
    solvent_fraction
        Fraction of the cell outside the atoms, 0 to 1.
    at_limit
        Parameters of bulk solvent that are at a limit of the settings, in words; empty if none are.
    """

    structure: gemmi.Structure
    F_calc: NDArray[np.complex128]
    F_mask: NDArray[np.complex128]
    F_model: NDArray[np.complex128]
    k_overall: float
    u_aniso: gemmi.SMat33d
    k_sol: float
    b_sol: float
    b_shift: float
    b_rest: float
    solvent_fraction: float
    at_limit: str = ""

    def to_summary(self) -> dict[str, float]:
        """Mean B and bulk solvent as entries of ``refinement`` in summary.json."""
        return {
            "mean_b": round(self.mean_b, 2),
            "k_sol": round(self.k_sol, 3),
            "b_sol": round(self.b_sol, 1),
        }

    @property
    def mean_b(self) -> float:
        """Mean B of the atoms, occupancies as weights, A^2."""
        return mean_b(self.structure)


def scale_model(
    structure: gemmi.Structure,
    data: CrystalData,
    free: FreeSet | None = None,
    *,
    settings: ScalingSettings | None = None,
) -> ScaledModel:
    """Scale a model to the working reflections.

    Parameters
    ----------
    structure
        The model, whose first model counts; its coordinates are taken in the data's cell.
    data
        The crystal.
    free
        Reflections that do not count; by default none.
    settings
        Limits of the parameters.

    Raises
    ------
    InputError
        If the model has no atoms, or no working reflection is measured.
    """
    settings = settings or ScalingSettings()
    model = in_crystal(structure, data)
    if not len(model) or not model[0].count_atom_sites():
        raise InputError(f"{structure.name or 'model'}: no atoms, expected a model with atoms")
    used = data.measured if free is None else data.measured & ~free.free
    if not used.any():
        raise InputError(f"{data.source}: no working reflection with an amplitude to scale to")
    F_mask, fraction = mask_structure_factors(model, data)
    solvent = fraction >= settings.least_solvent and int(used.sum()) >= settings.anisotropic_from
    given = mean_b(model)
    for _ in range(_ROUNDS):
        F_calc = atomic_structure_factors(model, data)
        scale = _fit(data, used, F_calc, F_mask, solvent, settings)
        if abs(scale.b_iso) < _NO_CHANGE:
            break
        if abs(add_b(model, scale.b_iso, settings.min_b)) < _NO_CHANGE:
            break
    damping = np.exp(-0.25 * scale.b_sol * data.d**-2.0)
    total = F_calc + scale.k_sol * damping * F_mask
    return ScaledModel(
        structure=model,
        F_calc=F_calc,
        F_mask=F_mask,
        F_model=scale.factor(data) * total,
        k_overall=scale.k,
        u_aniso=_traceless(scale.b),
        k_sol=scale.k_sol,
        b_sol=scale.b_sol,
        b_shift=mean_b(model) - given,
        b_rest=scale.b_iso,
        solvent_fraction=fraction,
        at_limit=_at_limit(scale, data, settings),
    )


@dataclass(frozen=True, eq=False)
class _Scale:
    """Scale factors: k, B (Cartesian, A^2), and solvent."""

    k: float
    b: gemmi.SMat33d
    k_sol: float = 0.0
    b_sol: float = 0.0
    misfit: float = math.inf

    @property
    def b_iso(self) -> float:
        return float(self.b.trace()) / 3

    def factor(self, data: CrystalData) -> NDArray[np.float64]:
        """Scale of each reflection, shape (n,)."""
        s = data.scattering_vectors
        b = np.array(self.b.as_mat33().tolist())
        return np.asarray(self.k * np.exp(-0.25 * np.einsum("ni,ij,nj->n", s, b, s)))


def _fit(
    data: CrystalData,
    used: NDArray[np.bool_],
    F_calc: NDArray[np.complex128],
    F_mask: NDArray[np.complex128],
    solvent: bool,
    settings: ScalingSettings,
) -> _Scale:
    """Least-squares scale of the reflections that are used, with bounded solvent."""
    hkl = np.ascontiguousarray(data.hkl[used])
    values = np.column_stack([data.f[used], np.ones(len(hkl))]).astype(np.float32)
    observed = gemmi.ValueSigmaAsuData(data.cell, data.space_group, hkl, values)
    s_sq = data.d[used] ** -2.0
    isotropic = len(hkl) < settings.anisotropic_from

    def calculated(F: NDArray[np.complex128]) -> gemmi.ComplexAsuData:
        return gemmi.ComplexAsuData(data.cell, data.space_group, hkl, F.astype(np.complex64))

    def fit(F: NDArray[np.complex128], mask: gemmi.ComplexAsuData | None = None) -> _Scale:
        scaling = gemmi.Scaling(data.cell, data.space_group)
        scaling.use_solvent = mask is not None
        scaling.prepare_points(calculated(F), observed, mask)
        scaling.fit_isotropic_b_approximately()
        try:
            misfit = math.inf if isotropic else float(scaling.fit_parameters())
        except RuntimeError:  # singular: nothing in these reflections depends on the solvent
            misfit = math.inf
        k_sol, b_sol = (scaling.k_sol, scaling.b_sol) if mask is not None else (0.0, 0.0)
        return _Scale(scaling.k_overall, scaling.b_overall, k_sol, b_sol, misfit)

    atoms, mask = F_calc[used], F_mask[used]
    if not solvent:
        return fit(atoms)
    k_bounds, b_bounds = _solvent_bounds(data, settings)
    best = fit(atoms, calculated(mask))
    inside = k_bounds[0] <= best.k_sol <= k_bounds[1] and b_bounds[0] <= best.b_sol <= b_bounds[1]
    if inside and math.isfinite(best.misfit):
        return best

    def with_solvent(k_sol: float, b_sol: float) -> _Scale:
        scale = fit(atoms + k_sol * np.exp(-0.25 * b_sol * s_sq) * mask)
        return _Scale(scale.k, scale.b, k_sol, b_sol, scale.misfit)

    def of_unit(x: NDArray[np.float64]) -> _Scale:
        k_sol = k_bounds[0] + x[0] * (k_bounds[1] - k_bounds[0])
        return with_solvent(float(k_sol), float(b_bounds[0] + x[1] * (b_bounds[1] - b_bounds[0])))

    given = ((best.k_sol, k_bounds), (best.b_sol, b_bounds))
    start = [(min(max(x, low), high) - low) / (high - low) for x, (low, high) in given]
    from scipy.optimize import minimize  # a fifth of a second to load, seldom needed

    found = minimize(
        lambda x: of_unit(x).misfit,
        np.nan_to_num(start, nan=0.5),
        method="Nelder-Mead",
        bounds=((0, 1), (0, 1)),
        options={"xatol": 0.01, "fatol": math.inf, "maxfev": 50},
    )
    return of_unit(found.x)


def _solvent_bounds(
    data: CrystalData, settings: ScalingSettings
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of k_sol (e/A^3) and b_sol (A^2)."""
    most = settings.max_k_sol * (_ELECTRON_SOLVENT if data.radiation == "electron" else 1.0)
    return (0.0, most), (settings.min_b_sol, settings.max_b_sol)


def _at_limit(scale: _Scale, data: CrystalData, settings: ScalingSettings) -> str:
    """Parameters of bulk solvent that are at a limit, in words."""
    (_, most), (low, high) = _solvent_bounds(data, settings)
    found, near = [], _NEAR_LIMIT * (high - low)
    if scale.k_sol >= (1 - _NEAR_LIMIT) * most:
        found.append(f"its density at the largest value allowed, {most:g} e/A^3")
    if scale.k_sol > 0 and not low + near < scale.b_sol < high - near:
        least = scale.b_sol <= low + near
        which, value = ("least", low) if least else ("largest", high)
        found.append(f"its B at the {which} value allowed, {value:g} A^2")
    return " and ".join(found)


def _traceless(b: gemmi.SMat33d) -> gemmi.SMat33d:
    """U of the anisotropic part of a B tensor."""
    third = b.trace() / 3
    values = [x - third for x in b.elements_pdb()[:3]] + b.elements_pdb()[3:]
    return gemmi.SMat33d(*(x / B_PER_U for x in values))
