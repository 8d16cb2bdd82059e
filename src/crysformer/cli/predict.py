"""Predict a map from amplitudes and sequence by the network alone.

Writes PREFIX.mtz (the measured amplitudes with FWT PHWT, the Fourier transform of the raw
predicted map, and FOM, the expected cosine of the phase error), PREFIX.ccp4 (that map) and
PREFIX.json, and the log of the run, PREFIX.log. Nothing is refined or polished: `crysformer solve`
does that. The sequence is an input of the network, and its figures do not test it: another one of
the same size gives nearly the same figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from crysformer.cli._common import (
    add_data_arguments,
    add_sequence_arguments,
    emit,
    load_inputs,
    log,
)
from crysformer.cli._run_log import file_log
from crysformer.errors import UsageError
from crysformer.files import refuse_input, require_writable, staged_files, write_json

_ENDINGS = (".mtz", ".ccp4", ".json", ".log")

_UNTESTED = (
    "the sequence was taken as given: these figures do not test it; `crysformer solve` compares it "
    "with others once there is a model"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_arguments(parser)
    add_sequence_arguments(parser, required=True)
    parser.add_argument(
        "--weights",
        metavar="NAME|FILE",
        help="packaged weights or a .safetensors file (default: the packaged ones that fit)",
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    parser.add_argument(
        "--passes",
        type=int,
        metavar="1",
        help="1: a single evaluation of the network (default: recycling runs)",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="PREFIX",
        help="writes PREFIX.mtz, .ccp4, .json, .log",
    )


def run(args: argparse.Namespace) -> int:
    """Read, predict, write."""
    prefix = output_prefix(args.output)
    with file_log(Path(f"{prefix}.log"), args.command_line):
        return _run(args, prefix)


def _run(args: argparse.Namespace, prefix: Path) -> int:
    data, sequences = load_inputs(args)
    assert sequences is not None
    for warning in data.warnings:
        log.warning("%s", warning)

    from crysformer.crystal.io.write import write_map, write_phases
    from crysformer.phasing.network.predict import predict

    refuse_input([args.data], [Path(f"{prefix}{ending}") for ending in _ENDINGS])
    require_writable(prefix.parent)
    prediction = predict(
        data, sequences, weights=args.weights, device=args.device, passes=args.passes
    )
    log.info("columns: %s (%s)", ", ".join(data.labels), data.kind)
    for note in prediction.notes:
        log.info("%s", note)
    result = {
        "weights": prediction.weights,
        "preset": prediction.preset,
        "seconds": round(prediction.seconds, 3),
        "grid": list(prediction.grid),
        "d_min": prediction.d_min,
        "mean_fom": round(float(prediction.fom[data.measured].mean()), 4),
        "fom": "expected cosine of the phase error, calibrated on the validation split",
        "notes": [*prediction.notes, _UNTESTED],
    }
    with staged_files(prefix.parent) as folder:
        write_phases(
            folder / f"{prefix.name}.mtz", data, prediction.f, prediction.phi, prediction.fom
        )
        write_map(folder / f"{prefix.name}.ccp4", prediction.density)
        write_json(folder / f"{prefix.name}.json", result)
    weights = f" ({prediction.weights})" if prediction.weights != prediction.preset else ""
    verdict = (
        f"network {prediction.preset}{weights}: map to {prediction.d_min:g} A, mean "
        f"expected cosine {result['mean_fom']:.2f}, {prediction.seconds:.1f} s"
    )
    written = ", ".join(f"{prefix}{ending}" for ending in _ENDINGS)
    emit(args, result, f"{verdict}\n{_UNTESTED}\nwritten: {written}", verdict=verdict)
    return 0


def output_prefix(text: str) -> Path:
    """The path that PREFIX stands for.

    Raises
    ------
    UsageError
        If it names no file, or one of its files is a folder already.
    """
    prefix = Path(text)
    if prefix.name in ("", ".."):
        raise UsageError(f"{text}: a folder, expected the beginning of file names, as out/map")
    for ending in _ENDINGS:
        if Path(f"{prefix}{ending}").is_dir():
            raise UsageError(f"{prefix}{ending}: is a folder; choose another output prefix")
    return prefix
