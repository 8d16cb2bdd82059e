"""Map coefficients beside those of servalcat (Yamashita et al., Acta Cryst. D79, 368, 2023)."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.map_coefficients import map_coefficients
from crysformer.building.scaling import scale_model
from crysformer.crystal.free_set import free_set
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.miller import MillerLookup

LABELS = {"1aba.mtz": ("FP,SIGFP,FreeR_flag", "test"), "5e5z.mtz": ("FP,SIGFP,FREE", "all")}


@pytest.mark.external
@pytest.mark.parametrize(("name", "least"), [("1aba", 0.97), ("5e5z", 0.9)])
def test_maps_agree_with_servalcat(
    name: str, least: float, shared_dir: Path, tmp_path: Path
) -> None:
    mtz = shared_dir / "experimental" / f"{name}.mtz"
    model = shared_dir / "experimental" / f"{name}.pdb.gz"
    plain = tmp_path / "model.pdb"
    plain.write_bytes(gzip.decompress(model.read_bytes()))
    labin, use = LABELS[mtz.name]
    beside = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}{os.pathsep}{beside}"}
    subprocess.run(
        ["servalcat", "sigmaa", "--hklin", mtz, "--model", plain, "-s", "xray", "--labin", labin,
         "--free", "0", "--use", use, "-o", tmp_path / "theirs"],
        check=True, capture_output=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    theirs = gemmi.read_mtz_file(str(tmp_path / "theirs.mtz"))
    data = read_crystal(mtz)
    free = free_set(data)
    scaled = scale_model(gemmi.read_structure(str(model)), data, free)
    ours = map_coefficients(data, free, scaled.F_model)
    assert ours.from_free == (use == "test")
    rows = MillerLookup(theirs.make_miller_array()).rows(data.hkl)
    # servalcat's coefficient of centric reflections is 2mFo-DFc too
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    there = np.isfinite(theirs.column_with_label("DELFWT").array)
    chosen = (rows >= 0) & data.measured & ~centric & there[rows]

    def column(label: str) -> np.ndarray:
        return np.asarray(theirs.column_with_label(label).array[rows[chosen]])

    assert np.corrcoef(column("FOM"), ours.fom[chosen])[0, 1] > least
    assert column("FOM").mean() == pytest.approx(ours.fom[chosen].mean(), abs=0.03)
    for amplitude, phase, limit in (("fwt", "phwt", 0.985), ("delfwt", "phdelwt", 0.9)):
        one = getattr(ours, amplitude)[chosen] * np.exp(
            1j * np.deg2rad(getattr(ours, phase)[chosen])
        )
        other = column(amplitude.upper()) * np.exp(1j * np.deg2rad(column(phase.upper())))
        size = np.sqrt((np.abs(one) ** 2).sum() * (np.abs(other) ** 2).sum())
        assert (one * other.conj()).sum().real / size > limit
