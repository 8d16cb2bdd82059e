"""Fit the probability that a chain of predictions is right, for weights trained on imperfect data.

    python benchmarks/network_arrival.py --data DATASET --weights FILE [-n 200] [--record]

Validation crystals, each imperfect in its own way: 1.5 to 2.5 A, errors of 0 to 20 %, 60 to 100 %
complete, at random or with a wedge missing. The best chain of each is right if its phases solve the
crystal (F^2-weighted mean cosine of 0.85 after alignment of origin and hand). A logistic regression
on `phasing.network.convergence.terms` is judged by two-fold cross-validation; with --record the one
fitted to all goes into the JSON of the weights.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.measurement_model import ErrorModel, Missing
from crysformer.data.synthetic.p1_crystal import single
from crysformer.data.synthetic.synthetic_crystal import measured_crystal
from crysformer.errors import NotApplicable
from crysformer.evaluation.calibration import reliability
from crysformer.evaluation.logistic import cross_validated, fit_logistic
from crysformer.files import write_json
from crysformer.models.weights import weights_path
from crysformer.models.weights_description import read_info
from crysformer.phasing.network.convergence import terms
from crysformer.phasing.network.predict import predict

_KINDS: tuple[Missing, ...] = ("random", "wedge")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each crystal")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    store = FragmentStore.open(args.data)
    table = store.table("validation")
    found, right = [], []
    for row in np.unique(np.linspace(0, len(table) - 1, args.n).round().astype(int)).tolist():
        rng = np.random.default_rng((17, row))
        d_min = max(1.5, rng.uniform(0.5, 2.5))
        measurement = ErrorModel(
            float(rng.choice([0.0, 0.05, 0.1, 0.2])),
            min(1.0, rng.uniform(0.6, 1.2)),
            _KINDS[rng.integers(2)],
        )
        crystal = measured_crystal(
            single(table.molecule(row), store.recipe), d_min, measurement, rng
        )
        data, deadline = crystal.data, time.monotonic() + args.seconds
        try:
            prediction = predict(data, crystal.sequence, args.weights, "cpu", deadline=deadline)
        except NotApplicable as reason:
            print(f"{crystal.id}: {reason}")
            continue
        phi = np.degrees(np.angle(prediction.trajectory))
        phases = compare_phases(
            data.hkl, data.f, phi, crystal.phi_true, data.cell, data.space_group
        )
        found.append(terms(prediction.agreement, data, (crystal.sequence,))[1:])
        right.append(phases.cosine2_aligned >= SOLVED_COSINE)
        print(
            f"{crystal.id} {d_min:.2f} A, error {measurement.amplitude_error}, "
            f"{measurement.completeness:.2f} {measurement.missing}: agreement "
            f"{prediction.agreement:.4f}, cosine {phases.cosine2_aligned:.3f}",
            flush=True,
        )
    x, y = np.array(found), np.array(right, dtype=float)
    p = cross_validated(x, y, np.arange(len(y)) % 2)
    check = reliability(p, y)
    fit = fit_logistic(x, y)
    print(f"{len(y)} crystals, {100 * y.mean():.0f} % right; cross-validated ECE {check.ece:.3f}")
    for limit in (0.5, 0.95):
        sure = p >= limit
        wrong = int((sure & (y == 0)).sum())
        print(f"probability >= {limit}: {int(sure.sum())} chains, {wrong} wrong")
    print("coefficients", fit.intercept, list(fit.coefficients))
    if args.record:
        path = weights_path(args.weights)
        arrival = [round(value, 4) for value in (fit.intercept, *fit.coefficients)]
        write_json(path.with_suffix(".json"), {**read_info(path), "arrival": arrival})


if __name__ == "__main__":
    main()
