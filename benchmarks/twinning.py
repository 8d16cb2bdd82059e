"""How often twins of the data recipes' crystals are told, and single crystals called twins.

    python benchmarks/twinning.py --data STORE [--limit N] [--amplitude-error X]

STORE is a folder made by `crysformer dataset build`. The crystals of its validation split, spread
evenly, are twinned by the two-fold axis along a, which their right-angled lattices allow: I(hkl)
becomes (1 - a) I(hkl) + a I(h -k -l). Prints what `crysformer.data_report` says, as Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from crysformer.crystal.quality.report import data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.data.dataset.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal

FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def twinned(data: CrystalData, fraction: float) -> CrystalData:
    """A complete P 1 crystal with a second domain turned about a."""
    row = {}
    for i, (h, k, l) in enumerate(data.hkl.tolist()):  # noqa: E741
        row[h, k, l] = row[-h, -k, -l] = i
    mate = [row[h, -k, -l] for h, k, l in data.hkl.tolist()]  # noqa: E741
    return replace(data, f=np.sqrt((1 - fraction) * data.f**2 + fraction * data.f[mate] ** 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--amplitude-error", type=float, default=0.0)
    args = parser.parse_args()
    store = FragmentStore.open(args.data)
    table = store.table("validation")
    rows = np.linspace(0, len(table) - 1, min(args.limit, len(table))).astype(int)
    print("| twin fraction | n | told twinned | cannot be judged | mean <L> | estimated fraction |")
    print("|---:|---:|---:|---:|---:|---:|")
    crystals = [
        synthetic_crystal(table, int(i), store.recipe, amplitude_error=args.amplitude_error).data
        for i in rows
    ]
    for fraction in FRACTIONS:
        reports = [data_report(twinned(data, fraction)) for data in crystals]
        warnings = [" ".join(report.warnings) for report in reports]
        tests = [report.l_test for report in reports if report.l_test is not None]
        told = sum("twinned: " in text or "symmetry may be higher" in text for text in warnings)
        unsure = sum("twinning cannot be judged" in text for text in warnings)
        print(
            f"| {fraction:.1f} | {len(reports)} | {told} | {unsure} | "
            f"{np.mean([t.mean_abs for t in tests]):.3f} | "
            f"{np.median([t.twin_fraction for t in tests]):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
