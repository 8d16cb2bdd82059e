"""Make the synthetic crystals of ``crysformer demo`` from held-out test fragments.

    python examples/make_samples.py DIPEPTIDES FIFTEEN src/crysformer/samples

DIPEPTIDES and FIFTEEN are data sets made by ``crysformer dataset build`` with seed 0.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import gemmi
import numpy as np

from crysformer.data import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal

DIPEPTIDES = {"2hv5_A_18": "wk", "2e64_B_14": "yf", "2hv5_A_112": "gf"}
FIFTEEN = {"1a80_A_96": "fifteen"}


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Round values to a number of significant bits, for compression (12 bits: 1 in 8,000)."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent)


def write_amplitudes(path: Path, crystal: SyntheticCrystal) -> None:
    """Write F and SIGF as a gzipped MTZ file, the same bytes every time."""
    data = crystal.data
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = f"Synthetic crystal of {crystal.id}"
    mtz.spacegroup = data.space_group
    mtz.set_cell_for_all(data.cell)
    mtz.add_dataset("synthetic")
    mtz.set_cell_for_all(data.cell)
    mtz.add_column("F", "F")
    mtz.add_column("SIGF", "Q")
    columns = np.column_stack([data.hkl, rounded(data.f, 12), rounded(data.sigf, 4)])
    mtz.set_data(columns.astype(np.float32))
    mtz.update_reso()
    plain = path.with_suffix("")
    mtz.write_to_file(str(plain))
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()


def main(dipeptides: str, fifteen: str, out: str) -> None:
    """Make all samples."""
    for folder, chosen in ((dipeptides, DIPEPTIDES), (fifteen, FIFTEEN)):
        store = FragmentStore.open(folder)
        table = store.table("test")
        for fragment, name in chosen.items():
            crystal = synthetic_crystal(table, table.id.index(fragment), store.recipe)
            write_amplitudes(Path(out) / f"{name}.mtz.gz", crystal)
            crystal.structure.write_minimal_pdb(str(Path(out) / f"{name}.pdb"))
            print(name, fragment, crystal.sequence, len(crystal.data), crystal.data.cell.parameters)


if __name__ == "__main__":
    main(*sys.argv[1:])
