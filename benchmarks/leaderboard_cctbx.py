"""Phases of cctbx's charge flipping for crystals of a data set, to be scored for the leaderboard.

    python benchmarks/leaderboard_cctbx.py --data dipeptides --limit 20 -o PHASES \
        --cctbx-python /path/to/python
    crysformer evaluate --phases PHASES --data dipeptides --split test --limit 20 -o OUT

The crystals are those that `crysformer evaluate` draws with the same limit and seed. The program is
given amplitudes, unit cell and P1 alone, in a process of its own. Writes PHASES/NAME.mtz with
amplitudes F and phases PHI; a crystal on which it fails gets no file, which scores as 90 degrees.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from crysformer.crystal.io.read_phases import coefficients_at
from crysformer.crystal.io.write import mtz_with, write_mtz
from crysformer.data.dataset.export import file_name
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.evaluation.peers.program import Job
from crysformer.evaluation.peers.programs import known_programs
from crysformer.evaluation.runner import choose, crystal_of
from crysformer.processes import run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of `crysformer dataset build`")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--d-min", type=float, default=1.5, help="resolution, A")
    parser.add_argument("--time-limit", type=float, default=10.0, help="for each crystal, s")
    parser.add_argument("--cctbx-python", default=sys.executable)
    parser.add_argument("-o", "--output", required=True, type=Path)
    args = parser.parse_args()
    program = known_programs(cctbx_python=args.cctbx_python)["cctbx"]
    if reason := program.unavailable():
        raise SystemExit(reason)
    print(program.version)
    work = args.output / "work"
    work.mkdir(parents=True)
    store = FragmentStore.open(args.data)
    table = store.table("test")
    for index in choose(table, args.limit, args.seed, args.data).tolist():
        crystal = crystal_of(table, index, store.recipe, DataQuality(args.d_min), args.seed)
        name = file_name(crystal.id)
        amplitudes, folder = work / f"{name}.mtz", work / name
        write_mtz(amplitudes, mtz_with(crystal.data, None, []))
        folder.mkdir()
        job = Job(PeerCrystal(crystal.id, amplitudes), args.seed, args.time_limit, folder)
        process = run_command(program.command(job), 10 * args.time_limit, program.environment())
        try:
            found = program.outcome(job, process)
        except CrysformerError as error:
            print(f"{crystal.id}: {error}", flush=True)
            continue
        p1 = found.phases.expanded()
        units = coefficients_at(p1.hkl, np.exp(1j * np.radians(p1.phi)), crystal.data.hkl)
        phi = np.where(np.isfinite(units), np.degrees(np.angle(units)), np.nan)
        content = mtz_with(crystal.data, None, [("PHI", "P", phi)])
        write_mtz(args.output / f"{name}.mtz", content)
        print(f"{crystal.id}: {found.stopped}, {process.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
