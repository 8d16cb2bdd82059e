"""Figure of merit of each phase from the agreement of model and measured amplitudes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.phasing.p1_grid import P1Grid

_SHELLS = 20
_PER_SHELL = 50


def sim_weights(grid: P1Grid, F_model: torch.Tensor) -> NDArray[np.float64]:
    """Expected cosine of the phase error, I1(X) / I0(X) with X = 2 Fo Fc / <(Fo - Fc)^2>.

    Sim, Acta Cryst. 13, 511 (1960). The mean is taken in shells of resolution, so that the same
    misfit weighs more where amplitudes are small.

    Parameters
    ----------
    grid
        The crystal in P1.
    F_model
        Structure factors of the model, half grid, on any scale.

    Returns
    -------
    Shape (m,), as the rows of `grid.data`; 0 where not measured.
    """
    data = grid.data
    used = data.measured
    observed = np.where(used, data.f, 0.0) / grid.scale
    model = np.zeros(len(data))
    model[used] = grid_to_hkl(F_model, torch.as_tensor(data.hkl[used])).abs().cpu().numpy()
    model *= (observed @ model) / max(float(model @ model), 1e-30)
    order = np.argsort(data.d, kind="stable")
    order = order[used[order]]
    fom = np.zeros(len(data))
    for shell in np.array_split(order, max(1, min(_SHELLS, len(order) // _PER_SHELL))):
        variance = np.mean((observed[shell] - model[shell]) ** 2)
        x = 2 * observed[shell] * model[shell] / max(float(variance), 1e-12)
        fom[shell] = i1e(x) / i0e(x)
    return fom
