"""Maps and model as the viewer of the page reads them: 8-bit CCP4 maps, PDB text."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.report.html.result_folder import ResultFolder

#: Points to a resolution element, finest first; coarser ones for large maps.
_RATES = (3.6, 3.0, 2.5, 2.1)
#: Most bytes of one map in the page.
_MOST_BYTES = 600_000
#: Density is shown this far around the model, A.
_MARGIN = 4.0


@dataclass(frozen=True)
class MapInPage:
    """One map of the page.

    Attributes
    ----------
    name
        For the legend.
    level
        Contour, in multiples of the map's rms.
    difference
        Whether negative density is contoured as well.
    data
        CCP4 map in base64.
    """

    name: str
    level: float
    difference: bool
    data: str


def maps_in_page(results: ResultFolder) -> list[MapInPage]:
    """Encode the map of the solution and, after building, the difference map."""
    has_model_map = {"DELFWT", "PHDELWT"} <= set(results.mtz.column_labels())
    name = "2mFo-DFc" if has_model_map else "density"
    maps = [_encoded(results, "FWT", "PHWT", name, 1.5, False)]
    if has_model_map:
        maps.append(_encoded(results, "DELFWT", "PHDELWT", "mFo-DFc", 3.0, True))
    return maps


def _encoded(
    results: ResultFolder, f: str, phi: str, name: str, level: float, difference: bool
) -> MapInPage:
    for rate in _RATES:
        grid = results.mtz.transform_f_phi_to_map(f, phi, sample_rate=rate)
        box = _box(grid, results.structure)
        if np.prod(_extent(grid, box)) <= _MOST_BYTES:
            break
    return MapInPage(
        name, level, difference, base64.b64encode(ccp4_bytes(grid, box)).decode("ascii")
    )


def _box(grid: gemmi.FloatGrid, structure: gemmi.Structure | None) -> gemmi.FractionalBox | None:
    """Fractional box of the model and its margin; None for the whole cell."""
    if structure is None or not len(structure) or structure[0].count_atom_sites() == 0:
        return None
    box = structure.calculate_fractional_box(margin=_MARGIN)
    sizes = [getattr(box.maximum, axis) - getattr(box.minimum, axis) for axis in "xyz"]
    return None if min(sizes) >= 1.0 else box


def _extent(grid: gemmi.FloatGrid, box: gemmi.FractionalBox | None) -> NDArray[np.int64]:
    shape = np.array(grid.shape)
    if box is None:
        return shape
    sizes = np.array([getattr(box.maximum, a) - getattr(box.minimum, a) for a in "xyz"])
    return np.minimum(np.ceil(sizes * shape).astype(int) + 1, shape)


def ccp4_bytes(grid: gemmi.FloatGrid, box: gemmi.FractionalBox | None = None) -> bytes:
    """Encode a map of a whole cell as a CCP4 file of signed bytes, in P1.

    The 255 steps go from the least to the highest density, as CCP4's mapmode2to0 scales them.

    Parameters
    ----------
    grid
        The map.
    box
        Part of it; it may reach over the borders of the cell.
    """
    values = np.array(grid, copy=True)
    low, high = float(values.min()), float(values.max())
    step = (high - low) / 255 or 1.0
    coded = np.clip(np.rint((values - low) / step) - 128, -128, 127).astype(np.int8)
    file = gemmi.Ccp4Mask()
    file.grid = gemmi.Int8Grid(coded, grid.unit_cell, gemmi.SpaceGroup("P 1"))
    file.update_ccp4_header(0)
    if box is not None:
        file.set_extent(_clipped(box))
    for word, number in (
        (20, low),
        (21, high),
        (22, float(values.mean())),
        (55, float(values.std())),
    ):
        file.set_header_float(word, number)
    file.set_header_i32(40, -128)
    file.set_header_i32(41, 127)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.ccp4"
        file.write_ccp4_map(str(path))
        return path.read_bytes()


def _clipped(box: gemmi.FractionalBox) -> gemmi.FractionalBox:
    """The box, no longer than the cell along any axis."""
    clipped = gemmi.FractionalBox()
    low, high = {}, {}
    for axis in "xyz":
        low[axis] = getattr(box.minimum, axis)
        high[axis] = min(getattr(box.maximum, axis), low[axis] + 0.999)
    clipped.minimum = gemmi.Fractional(*low.values())
    clipped.maximum = gemmi.Fractional(*high.values())
    return clipped


def best_view(structure: gemmi.Structure) -> dict[str, list[float]] | None:
    """Direction in which a model is seen at its widest.

    Returns
    -------
    dict or None
        "eye" towards the viewer and "up", Cartesian unit vectors: the longest principal axis lies
        across the picture, the shortest points to the viewer. None without atoms.
    """
    xyz = np.array(
        [atom.pos.tolist() for chain in structure[0] for residue in chain for atom in residue
         if not residue.is_water()]
    )  # fmt: skip
    if len(xyz) < 3:
        return None
    axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=False)[2]
    return {"eye": axes[2].round(4).tolist(), "up": axes[1].round(4).tolist()}


def pdb_text(structure: gemmi.Structure) -> str:
    """Model as PDB text, atoms with bonds by distance."""
    copy = structure.clone()
    copy.shorten_chain_names()
    return copy.make_pdb_string(gemmi.PdbWriteOptions(minimal=True))
