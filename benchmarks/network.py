"""Accuracy of `crysformer.predict` on crystals held out from training.

    python benchmarks/network.py --data DATASET [-n 200] [--weights NAME|FILE] [-o results.json]

Crystals are spread evenly over a split; maps and phases are compared before alignment, unless a
figure is called "aligned" (origin and hand). With --record the figures, and the calibration of FOM
for converged recycling runs, go into the JSON of the weights.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.files import write_json
from crysformer.models.weights import weights_path
from crysformer.models.weights_description import read_info
from crysformer.phasing.network.predict import predict
from crysformer.training.validation import calibrate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--weights")
    parser.add_argument("--amplitude-error", type=float, default=0.0)
    parser.add_argument("--completeness", type=float, default=1.0)
    parser.add_argument("--d-min", type=float, default=1.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("-o", "--output")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    store = FragmentStore.open(args.data)
    table = store.table(args.split)
    rows = np.unique(np.linspace(0, len(table) - 1, args.n).round().astype(int))
    found: list[dict[str, Any]] = []
    ratios, cosines = [], []
    for row in rows:
        crystal = synthetic_crystal(
            table, int(row), store.recipe, args.d_min, args.amplitude_error, args.completeness
        )
        prediction = predict(crystal.data, crystal.sequence, args.weights, device="cpu")
        F = crystal.f_true * np.exp(1j * np.radians(crystal.phi_true))
        P = prediction.f * np.exp(1j * np.radians(prediction.phi))
        pc = (P.conj() @ F).real / (np.linalg.norm(P) * np.linalg.norm(F))
        data = crystal.data
        phases = compare_phases(
            data.hkl, data.f, prediction.phi, crystal.phi_true, data.cell, data.space_group
        )
        cosine = np.cos(np.radians(prediction.phi - crystal.phi_true))
        measured = data.measured & (prediction.f > 0)
        if prediction.converged and phases.cosine2 >= SOLVED_COSINE:
            ratios.append(prediction.f[measured] / data.f[measured])
            cosines.append(cosine[measured])
        found.append(
            {
                "id": crystal.id,
                "sequence": crystal.sequence,
                "pc": float(pc),
                "mean_phase_error": phases.mean,
                "weighted_phase_error": phases.weighted,
                "cosine2": phases.cosine2,
                "cosine2_aligned": phases.cosine2_aligned,
                "weighted_phase_error_aligned": phases.weighted_aligned,
                "arrived": prediction.converged,
                "mean_cosine": float(cosine[measured].mean()),
                "mean_fom": float(prediction.fom[measured].mean()),
                "seconds": prediction.seconds,
            }
        )
        if len(found) % 10 == 0 or len(found) == len(rows):
            print(json.dumps(summary(found)), flush=True)
    if args.record:
        path = weights_path(args.weights or prediction.weights)
        info = read_info(path)
        info["calibration_arrived"] = calibrate(
            torch.from_numpy(np.concatenate(ratios)), torch.from_numpy(np.concatenate(cosines))
        )
        info["metrics_predict"] = {"split": args.split, **summary(found)}
        write_json(path.with_suffix(".json"), info)
    if args.output:
        with open(args.output, "w", encoding="utf-8") as file:
            json.dump({"options": vars(args), "summary": summary(found), "crystals": found}, file)


def summary(found: list[dict[str, Any]]) -> dict[str, float]:
    """Means over all crystals, and over the converged recycling runs."""
    means = {
        name: round(float(np.mean([one[name] for one in found])), 4)
        for name in found[0]
        if not isinstance(found[0][name], str)
    }
    arrived = [one for one in found if one["arrived"]]
    right = [one["cosine2_aligned"] >= SOLVED_COSINE for one in arrived]
    hand = [one["cosine2"] >= SOLVED_COSINE for one in arrived]
    return {
        "n": len(found),
        **means,
        "pc_median": round(float(np.median([one["pc"] for one in found])), 4),
        "solved": round(float(np.mean([o["cosine2_aligned"] >= SOLVED_COSINE for o in found])), 4),
        "arrived_right": round(float(np.mean(right)), 4) if right else 0.0,
        "arrived_right_hand": round(float(np.mean(hand)), 4) if hand else 0.0,
    }


if __name__ == "__main__":
    main()
