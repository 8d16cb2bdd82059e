"""List the bundled network weights, and verify that files of weights are intact."""

from __future__ import annotations

import argparse
from typing import Any

from crysformer.cli._common import common_options, emit
from crysformer.errors import CrysformerError, InputError
from crysformer.wording import counted

ACTIONS = ("list", "verify")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    actions.add_parser(
        "list",
        help="names, presets, sizes and figures",
        description="List the bundled weights.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    verify = actions.add_parser(
        "verify",
        help="compare files with their checksums, and load them",
        description="Verify weights: their SHA-256 checksum is that in the JSON file, and they "
        "load.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    verify.add_argument(
        "weights",
        nargs="*",
        metavar="NAME|FILE",
        help="names of bundled weights or .safetensors files (default: all bundled ones)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the chosen action."""
    return _list(args) if args.action == "list" else _verify(args)


def _list(args: argparse.Namespace) -> int:
    from crysformer.models.weights import packaged_weights, tensor_files
    from crysformer.models.weights_description import read_info

    rows: list[dict[str, Any]] = []
    for name, path in packaged_weights().items():
        info = read_info(path)
        rows.append(
            {
                "name": name,
                "preset": info.get("preset"),
                "bytes": sum(file.stat().st_size for file in tensor_files(path)),
                "licence": info.get("licence"),
                "sha256": info.get("sha256"),
                "metrics": info.get("metrics", {}),
                "metrics_predict": info.get("metrics_predict", {}),
                "examples": info.get("training", {}).get("examples"),
            }
        )
    lines = [
        f"{row['name']}: {row['bytes'] / 1e6:.1f} MB, {counted(row['examples'], 'example')}, one "
        "prediction "
        f"PC {row['metrics'].get('pc', float('nan')):.3f} on {row['metrics'].get('n', 0)} "
        f"{row['metrics'].get('split', '')} crystals, {row['licence']}"
        for row in rows
    ]
    emit(args, {"weights": rows}, "\n".join(lines) or "none are bundled in this installation")
    return 0


def _verify(args: argparse.Namespace) -> int:
    """Check every file, then raise if any is damaged.

    Raises
    ------
    UsageError
        If there is no such file.
    CrysformerError
        If any is damaged.
    """
    from crysformer.models.weights import load_weights, packaged_weights, weights_path
    from crysformer.models.weights_description import read_info

    results: dict[str, str] = {}
    for name in args.weights or packaged_weights():
        path = weights_path(name)
        try:
            expected = read_info(path).get("sha256", "none in the JSON")
            found = load_weights(path).sha256
        except InputError as error:
            results[name] = str(error)
            continue
        results[name] = "ok" if found == expected else f"SHA-256 {found}, expected {expected}"
    words = {"ok": "ok, undamaged and complete by the checksums in its description"}
    lines = [f"{name}: {words.get(result, result)}" for name, result in results.items()]
    emit(args, results, "\n".join(lines))
    damaged = [name for name, result in results.items() if result != "ok"]
    if damaged:
        raise CrysformerError(f"damaged weights: {', '.join(damaged)}; install them again")
    return 0
