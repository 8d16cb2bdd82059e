"""Export of the crystals of a data set as files for other programs."""

from __future__ import annotations

import io
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import torch

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import hkl_to_grid, patterson_from_grid
from crysformer.crystal.io.write import write_map, write_mtz
from crysformer.data.dataset.hub import write_hub_folder
from crysformer.data.examples.residue_densities import residue_templates
from crysformer.data.examples.stream import fixed_batches
from crysformer.data.store import SPLITS, FragmentStore, FragmentTable, Split
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal
from crysformer.errors import InputError, UsageError
from crysformer.files import locked_folder, write_bytes

FORMATS = ("mtz", "ccp4", "pt", "pdb", "hub")

_PATTERSON = "patterson_pt_scaled/{}_patterson.pt"
_DENSITY = "electron_density_pt_scaled/{}_fft.pt"
_PARTIAL = "res/{}_ps.pt"
_BATCH = 16


def export(
    folder: str | Path,
    out: str | Path,
    format: str,
    split: Split | None = None,
    limit: int | None = None,
    overwrite: bool = False,
) -> int:
    """Write crystals, in their stored orientation, as files.

    ``mtz``: ``ID.mtz`` with F, SIGF (nominal, 1 %) and the true FC, PHIC. ``ccp4``:
    ``ID_density.ccp4`` and ``ID_patterson.ccp4`` (e/A^3, e^2/A^3). ``pdb``: ``ID.pdb`` with cell.
    ``pt``: the authors' layout, float32 tensors for ``torch.load(..., weights_only=True)``:
    ``patterson_pt_scaled/ID_patterson.pt`` (U, V, W), ``electron_density_pt_scaled/ID_fft.pt``
    (U, V, W) and ``res/ID_ps.pt`` (J, 24, 24, 24), divided by the data set's scales (partial
    structures by the density's), grids multiples of 4; ``SPLIT_examples.txt`` lists the ids.
    ``hub``: Parquet files of the splits with a data card, for `datasets.load_dataset` and the
    Hugging Face Hub. `export_shards` writes maps of many crystals into few files.

    Parameters
    ----------
    folder
        A data set made by `build`.
    out
        Output folder.
    format
        One of `FORMATS`.
    split
        Only this split; all of them by default.
    limit
        Number of crystals from each split, the first ones.
    overwrite
        Accept an output folder that is not empty.

    Returns
    -------
    Number of crystals written.

    Raises
    ------
    UsageError
        If the format is unknown or the output folder is not empty.
    InputError
        If there is nothing to export, or the data set lacks what the format needs.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}; expected one of: {', '.join(FORMATS)}")
    store = FragmentStore.open(folder)
    splits = SPLITS if split is None else (split,)
    tables = [table for table in map(store.table, splits) if len(table)]
    if not tables:
        raise InputError(f"{folder}: no fragments in {' or '.join(splits)}; choose another split")
    if format == "hub" and limit is not None:
        raise UsageError("`limit` does not apply to the format hub, which has all fragments")
    with locked_folder(out, overwrite=overwrite) as target:
        return _export(store, tables, target, format, limit)


def _export(
    store: FragmentStore, tables: list[FragmentTable], target: Path, format: str, limit: int | None
) -> int:
    fresh = not any(target.iterdir())
    written = 0
    try:
        if format == "hub":
            return write_hub_folder(store, tuple(table.split for table in tables), target)
        for table in tables:
            n = len(table) if limit is None else min(limit, len(table))
            if format == "pt":
                _write_tensors(table, n, store, target)
            else:
                for index in range(n):
                    _WRITERS[format](synthetic_crystal(table, index, store.recipe), target)
            written += n
    except BaseException:
        if fresh:
            for item in target.iterdir():
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        raise
    return written


def _write_mtz(crystal: SyntheticCrystal, folder: Path) -> None:
    data = crystal.data
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = f"{crystal.id} {crystal.sequence}"
    mtz.spacegroup = data.space_group
    mtz.set_cell_for_all(data.cell)
    mtz.add_dataset("crysformer")
    for label, kind in (("F", "F"), ("SIGF", "Q"), ("FC", "F"), ("PHIC", "P")):
        mtz.add_column(label, kind)
    columns = (*data.hkl.T, data.f, data.sigf, crystal.f_true, crystal.phi_true)
    mtz.set_data(np.column_stack(columns).astype(np.float32))
    write_mtz(folder / f"{file_name(crystal.id)}.mtz", mtz)


def _write_maps(crystal: SyntheticCrystal, folder: Path) -> None:
    density = crystal.density
    hkl = torch.from_numpy(crystal.data.hkl)
    grid = hkl_to_grid(hkl, torch.from_numpy(crystal.f_true), density.shape)
    patterson = patterson_from_grid(grid[None], density.shape, density.cell.volume)[0]
    name = file_name(crystal.id)
    write_map(folder / f"{name}_density.ccp4", density)
    write_map(
        folder / f"{name}_patterson.ccp4",
        DensityMap(patterson.numpy().astype(np.float32), density.cell, density.space_group),
    )


def _write_pdb(crystal: SyntheticCrystal, folder: Path) -> None:
    text = crystal.structure.make_pdb_string()
    write_bytes(folder / f"{file_name(crystal.id)}.pdb", text.encode())


_WRITERS: dict[str, Callable[[SyntheticCrystal, Path], None]] = {
    "mtz": _write_mtz,
    "ccp4": _write_maps,
    "pdb": _write_pdb,
}


def _write_tensors(table: FragmentTable, n: int, store: FragmentStore, folder: Path) -> None:
    density_scale, patterson_scale = store.scale("density"), store.scale("patterson")
    templates = residue_templates() / density_scale
    for batch in fixed_batches(table, store.recipe, _BATCH, limit=n):
        for i, index in enumerate(batch.index.tolist()):
            name = file_name(table.id[index])
            _save(batch.patterson[i, 0] / patterson_scale, folder / _PATTERSON.format(name))
            _save(batch.density[i, 0] / density_scale, folder / _DENSITY.format(name))
            _save(templates[batch.residues[i]], folder / _PARTIAL.format(name))
    names = "".join(f"{file_name(name)}\n" for name in table.id[:n])
    write_bytes(folder / f"{table.split}_examples.txt", names.encode())


def _save(tensor: torch.Tensor, path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(tensor.clone(), buffer)  # a slice would be saved with all of its batch
    write_bytes(path, buffer.getvalue())


def file_name(id: str) -> str:
    """Name of the files of a fragment: its id, with what is no plain letter or digit as %XX.

    Names of chains come from structure files and may hold anything, also ``../``.
    """
    return urllib.parse.quote(id, safe="+=@,")
