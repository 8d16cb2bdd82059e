"""Free atoms grown from phases of known error, for the confidence of such candidates.

    python benchmarks/free_atom_rows.py --fifteen DIR --out rows.tsv [-n 6]

Validation molecules of 15 residues in tight cells with waters and a spread of B that no atom is
told of, to 1.0, 1.15 and 1.3 A with errors of 5 and 10 %. True phases with random errors of several
mean sizes, the largest as good as random, go through density modification and become free atoms,
as fragments and sulphurs do (`crysformer.phasing.fragments.from_phases`). Each gives a row: figures
of merit, and the aligned F^2-weighted cosine to the truth.
`benchmarks/calibrate_confidence.py --fit` fits the confidence.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from calibrate_confidence import nearly_true, values_of, writer_of
from crysformer.crystal.compare import compare_phases
from crysformer.crystal.maps import grid_to_hkl
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.data.store import FragmentStore
from crysformer.phasing.content import cell_content, positive_shares
from crysformer.phasing.fragments.expand import expand
from crysformer.phasing.fragments.from_phases import atoms_from_phases
from crysformer.phasing.problem import phase_problem
from sequence_rows import Regime, crystal_of

D_MIN = (1.0, 1.15, 1.3)  # A
ERRORS = (0.05, 0.1)
STARTS = (50, 65, 75, 89)  # mean phase errors, degrees
ITERATIONS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fifteen", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=6, help="crystals of each resolution")
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = FragmentStore.open(args.fifteen).table("validation")
    with args.out.open("a", newline="") as handle:
        writer = writer_of(args.out, handle)
        for number in range(args.first, args.first + args.n):
            for d_min in D_MIN:
                error = ERRORS[number % len(ERRORS)]
                regime = Regime(f"{d_min:g} A", 15, d_min, error, 0.95, waters=True)
                crystal, _, seed = crystal_of(table, regime, number)
                p1, mapping = expand_to_p1(crystal.data)
                problem = phase_problem(p1, "cpu", mapping.parent)
                content = cell_content(crystal.data, (crystal.sequence,), 1)
                generator = torch.Generator().manual_seed(seed)
                volume = crystal.data.cell.volume
                shares = positive_shares(content, volume, d_min, 8, generator)
                share = float(shares.median())
                for start in nearly_true(crystal, problem, seed, STARTS):
                    begun = time.monotonic()
                    rounds = ((1, ITERATIONS),)
                    F, _ = expand(
                        problem, start[None], share, content.b_iso, rounds, generator, math.inf
                    )
                    found = atoms_from_phases(
                        problem, crystal.data, mapping, content, F[0], generator, math.inf
                    )
                    used = torch.as_tensor(crystal.data.hkl)
                    phi = np.rad2deg(np.angle(grid_to_hkl(found.F, used).numpy()))
                    compared = compare_phases(
                        crystal.data.hkl,
                        crystal.data.f,
                        phi,
                        crystal.phi_true,
                        crystal.data.cell,
                        crystal.data.space_group,
                    )
                    values = values_of(found.figures, compared.cosine2_aligned)
                    writer.writerow(["tight-15", crystal.id, regime.name, "free-atoms", *values])
                    print(
                        f"{crystal.id} {regime.name} {time.monotonic() - begun:5.1f} s "
                        f"cosine {compared.cosine2_aligned:.3f} "
                        + " ".join(f"{k} {v:.3f}" for k, v in found.figures.items()),
                        flush=True,
                    )
                handle.flush()


if __name__ == "__main__":
    main()
