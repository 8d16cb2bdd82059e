"""Processor time of start-up and of whole solutions, of one source tree or of two in turn.

Every figure is the user and system time of one process with one thread. With `--before`, a folder
with the sources of another version (its `src`), parts of each set are measured with the one and the
other in turn, so that other work on the machine hits both alike.

    python benchmarks/speed.py --dipeptides DIR --fifteen DIR --measured crystal.mtz=SEQUENCE \
        --before OTHER/src --output benchmarks/speed.md

Start-up is everything before the search begins (imports, reading, the data report), of the bundled
dipeptide. Crystals of data sets are those that `crysformer evaluate --split validation --limit N`
takes; their time is that of `crysformer.solve` in a process that has solved one already.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

HERE = Path(__file__).resolve()
PART = 10  # crystals of a set between the two versions
TIME_LIMIT = 60.0


def _set(folder: str, limit: str, first: str) -> Iterator[tuple[float, bool, bool]]:
    """Seconds, solved and claimed of some crystals of a data set, the first once more."""
    import numpy as np

    from crysformer.data.store import FragmentStore
    from crysformer.data.synthetic.p1_crystal import single
    from crysformer.evaluation.data_quality import DataQuality
    from crysformer.evaluation.scoring import score
    from crysformer.phasing.solver import solve

    store, quality = FragmentStore.open(folder), DataQuality()
    table = store.table("validation")
    rows = np.sort(np.random.default_rng(0).permutation(len(table))[: int(limit)])
    rows = rows[int(first) : int(first) + PART]
    for warm, index in enumerate([rows[0], *rows]):
        rng = np.random.default_rng((0, index))
        molecule = single(table.molecule(int(index)), store.recipe)
        crystal = quality.measure(molecule, rng, store.recipe.sample_rate)
        begun = time.process_time()
        found = solve(crystal.data, crystal.sequence, time_limit=TIME_LIMIT, device="cpu")
        seconds = time.process_time() - begun
        if warm:
            solved = score(crystal, found.phi, quality.d_min, found.density).solved
            yield seconds, solved, found.solved


def _measured(path: str, sequence: str) -> Iterator[tuple[float, bool, bool]]:
    """Seconds of the search, and twice the verdict: the truth is not at hand."""
    from crysformer.crystal.io.read import read_crystal
    from crysformer.phasing.solver import solve

    data = read_crystal(path)
    begun = time.process_time()
    found = solve(data, sequence or None, time_limit=TIME_LIMIT, device="cpu")
    yield time.process_time() - begun, found.solved, found.solved


def _start_up(kind: str) -> Iterator[tuple[float, bool, bool]]:
    """Seconds of this process up to the search, or those of `crysformer info`."""
    from crysformer.cli import main
    from crysformer.samples import SAMPLES

    path = str(SAMPLES[0].data_path)
    if kind == "info":
        main(["info", path, "--quiet"])
        yield time.process_time(), False, False
        return
    from crysformer.phasing import search

    class Begun(BaseException):
        pass

    def begin(*_: Any) -> None:
        raise Begun

    setattr(search.Search, "run", begin)  # noqa: B010
    with tempfile.TemporaryDirectory() as folder:
        try:
            main(["solve", path, "--quiet", "--overwrite", "-o", folder])
        except Begun:
            yield time.process_time(), False, False


WORKERS: dict[str, Callable[..., Iterator[tuple[float, bool, bool]]]] = {
    "set": _set, "measured": _measured, "start": _start_up,
}  # fmt: skip


def _run(source: Path, *job: str) -> list[tuple[float, bool, bool]]:
    """Results of one job with one version, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, str(HERE), "--worker", *job]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(job)}: {done.stderr.strip()}")
    return [(row[0], row[1], row[2]) for row in json.loads(done.stdout.splitlines()[-1])]


def _row(name: str, jobs: Sequence[tuple[str, ...]], sources: list[Path]) -> str:
    found: list[list[tuple[float, bool, bool]]] = [[] for _ in sources]
    for i, job in enumerate(jobs):
        # which version comes first alternates as well
        for which in sorted(range(len(sources)), reverse=bool(i % 2)):
            found[which] += _run(sources[which], *job)
    cells = []
    for results in found:
        seconds = sorted(x for x, _, _ in results)
        mean = sum(seconds) / len(seconds)
        solved, claimed = (sum(row[k] for row in results) for k in (1, 2))
        verdicts = "" if jobs[0][0] == "start" else f"{solved}, {claimed}"
        cells.append(f"{mean:.2f} | {seconds[len(seconds) // 2]:.2f} | {verdicts}")
    line = f"| {name} | {len(found[0])} | " + " | ".join(cells) + " |"
    print(line, flush=True)
    return line


def main() -> None:
    """Measure, and write a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--dipeptides", metavar="DIR", help="a data set")
    parser.add_argument("--fifteen", metavar="DIR", help="a data set")
    parser.add_argument("-n", type=int, nargs=2, default=(60, 15), help="crystals of the two")
    parser.add_argument("--measured", metavar="FILE=SEQ", nargs="*", default=[])
    parser.add_argument("--before", metavar="SRC", type=Path, help="sources of another version")
    parser.add_argument("--repeats", type=int, default=3, help="of start-up and measured crystals")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(list(WORKERS[args.worker[0]](*args.worker[1:]))))
        return
    after = HERE.parents[1] / "src"
    sources = [after] if args.before is None else [args.before, after]
    columns = " | ".join(["mean s | median s | solved, claimed"] * len(sources))
    lines = [f"| crystals | n | {columns} |", "|---|" + "---:|" * (1 + 3 * len(sources))]
    for kind, name in (("info", "`crysformer info`"), ("solve", "start-up of `solve`")):
        lines.append(_row(name, [("start", kind)] * args.repeats, sources))
    sets = (("dipeptides", args.dipeptides), ("15 residues", args.fifteen))
    for (name, folder), n in zip(sets, args.n, strict=True):
        if folder is not None:
            parts = [("set", folder, str(n), str(first)) for first in range(0, n, PART)]
            lines.append(_row(name, parts, sources))
    for entry in args.measured:
        path, _, sequence = entry.partition("=")
        jobs = [("measured", path, sequence)] * args.repeats
        lines.append(_row(Path(path).stem, jobs, sources))
    if args.output is not None:
        args.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
