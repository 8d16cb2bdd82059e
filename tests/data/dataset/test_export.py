"""Exported files, read back by other programs."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.data import FIFTEEN, FragmentStore, export
from crysformer.data.dataset import export as export_module
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.errors import InputError, UsageError


def test_mtz_holds_the_crystal(fifteens: FragmentStore, tmp_path: Path) -> None:
    assert export(fifteens.folder, tmp_path / "out", "mtz", "test", limit=2) == 2
    table = fifteens.table("test")
    crystal = synthetic_crystal(table, 1, FIFTEEN)
    mtz = gemmi.read_mtz_file(str(tmp_path / "out" / f"{table.id[1]}.mtz"))
    assert [c.type for c in mtz.columns] == list("HHHFQFP")
    assert mtz.spacegroup.hm == "P 1"
    assert mtz.cell.parameters == pytest.approx((41, 30, 24, 90, 90, 90))
    np.testing.assert_allclose(mtz.array[:, 3], crystal.f_true, rtol=1e-5)
    np.testing.assert_allclose(mtz.array[:, 6], crystal.phi_true, atol=1e-3)


def test_maps_and_coordinates_agree(dipeptides: FragmentStore, tmp_path: Path) -> None:
    for format in ("ccp4", "pdb"):
        export(dipeptides.folder, tmp_path / format, format, "test", limit=3)
    for name in dipeptides.table("test").id[:3]:
        density = gemmi.read_ccp4_map(str(tmp_path / "ccp4" / f"{name}_density.ccp4"), setup=True)
        structure = gemmi.read_pdb(str(tmp_path / "pdb" / f"{name}.pdb"))
        values = density.grid.array
        at_atoms = [density.grid.interpolate_value(atom.pos) for r in structure[0][0] for atom in r]
        assert min(at_atoms) > 2 * values.std()
        assert {atom.b_iso for r in structure[0][0] for atom in r} == {20.0}
        patterson = gemmi.read_ccp4_map(str(tmp_path / "ccp4" / f"{name}_patterson.ccp4"))
        assert patterson.grid.array.argmax() == 0  # the origin peak
        assert structure.cell.parameters == pytest.approx(density.grid.unit_cell.parameters)


def test_tensors_in_the_authors_layout(dipeptides: FragmentStore, tmp_path: Path) -> None:
    assert export(dipeptides.folder, tmp_path / "pt", "pt", limit=5) == 15
    scales = dipeptides.manifest["scales"]
    for split in ("train", "validation", "test"):
        names = (tmp_path / "pt" / f"{split}_examples.txt").read_text().split()
        assert names == dipeptides.table(split).id[:5]  # type: ignore[arg-type]
        for name in names:
            paths = (
                f"patterson_pt_scaled/{name}_patterson.pt",
                f"electron_density_pt_scaled/{name}_fft.pt",
                f"res/{name}_ps.pt",
            )
            patterson, density, partial = (
                torch.load(tmp_path / "pt" / path, weights_only=True) for path in paths
            )
            assert patterson.shape == density.shape
            assert density.ndim == 3
            assert all(n % 4 == 0 for n in density.shape)
            assert partial.shape == (2, 24, 24, 24)
            assert density.dtype == patterson.dtype == partial.dtype == torch.float32
            assert 0.3 < float(density.max()) <= 1.001
            assert 0.3 < float(patterson.max()) <= 1.001
            F = torch.fft.rfftn(density.double() * scales["density"]["scale"])
            again = torch.fft.irfftn(F.abs() ** 2, s=density.shape).ravel()
            pair = torch.stack((again, patterson.double().ravel()))
            assert float(torch.corrcoef(pair)[0, 1]) > 0.99999
            size = (tmp_path / "pt" / paths[0]).stat().st_size
            assert size < 4 * patterson.numel() + 4096


def test_refusals(dipeptides: FragmentStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mtz, ccp4, pt, pdb"):
        export(dipeptides.folder, tmp_path / "out", "xyz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note").touch()
    with pytest.raises(UsageError, match="not empty"):
        export(dipeptides.folder, tmp_path / "out", "pdb")
    with pytest.raises(InputError, match=r"no manifest\.json"):
        export(tmp_path, tmp_path / "new", "pdb")


def test_interrupted_export_leaves_nothing(
    dipeptides: FragmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def interrupted(*args: object) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(*args)

    write = export_module._WRITERS["pdb"]
    monkeypatch.setitem(export_module._WRITERS, "pdb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(dipeptides.folder, tmp_path / "out", "pdb")
    assert not (tmp_path / "out").exists()


def test_coordinates_of_fifteen_residues(fifteens: FragmentStore, tmp_path: Path) -> None:
    """The files that the paper released: one fragment in its cell, B 20, centred."""
    export(fifteens.folder, tmp_path / "pdb", "pdb", "test", limit=2)
    table = fifteens.table("test")
    for name, sequence in zip(table.id[:2], table.sequence, strict=False):
        structure = gemmi.read_pdb(str(tmp_path / "pdb" / f"{name}.pdb"))
        (chain,) = structure[0]
        assert gemmi.one_letter_code([residue.name for residue in chain]) == sequence
        assert structure.cell.parameters == pytest.approx((41, 30, 24, 90, 90, 90))
        centre = structure[0].calculate_center_of_mass()
        assert centre.tolist() == pytest.approx([20.5, 15, 12], abs=0.01)
        assert {atom.b_iso for residue in chain for atom in residue} == {20.0}
