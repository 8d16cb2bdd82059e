"""Rows of the paper's tables and of comparisons with parts of the network left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crysformer.errors import UsageError


@dataclass(frozen=True)
class Row:
    """One network of a table: how it is trained, and how it is tested.

    Attributes
    ----------
    name
        Name of the row's folder.
    label
        Name in the table; of the paper's rows, the paper's.
    preset
        Preset that it is trained with.
    changes
        Settings that differ from the preset's, as for `training.config.with_changes`.
    refines
        Name of the row whose predictions this one refines ("+R"), or empty.
    tests
        Name of the row whose trained network is tested here, instead of one of its own; or empty.
    wrong_residues
        Test with the residues of another crystal.
    """

    name: str
    label: str
    preset: str = "dipeptide"
    changes: tuple[str, ...] = ()
    refines: str = ""
    tests: str = ""
    wrong_residues: bool = False


@dataclass(frozen=True)
class Published:
    """Figures of the paper: PC, mean phase error in degrees, epochs, minutes an epoch."""

    pc: float
    mean_phase_error: float | None
    epochs: int
    minutes_per_epoch: float | None


def _plain(name: str, label: str, preset: str) -> tuple[Row, Row]:
    """A network, and the network that refines its predictions."""
    return Row(name, label, preset), Row(f"{name}-r", f"{label}+R", preset, refines=name)


_CRYSFORMER = Row("crysformer", "CrysFormer")
_OWN = Row("own", "dipeptide-small (this package)", "dipeptide-small")
_FIFTEEN = Row("crysformer", "CrysFormer", "fifteen")

#: Rows of each experiment, in the order of training: a row comes after those it needs.
EXPERIMENTS: Mapping[str, Sequence[Row]] = {
    "table1": (
        *_plain("unet", "U-Net", "dipeptide-unet"),
        *_plain("unet-ps", "U-Net+PS", "dipeptide-unet-ps"),
        *_plain("crysformer", "CrysFormer", "dipeptide"),
        _OWN,
    ),
    "fifteen": (
        _FIFTEEN,
        Row("crysformer-r", "CrysFormer+R", "fifteen", refines="crysformer"),
        Row("own", "fifteen-large (this package)", "fifteen-large", ("batch_size=4",)),
    ),
    "nystrom": (
        Row("nystrom", "CrysFormer, 64 landmarks", "fifteen"),
        Row("all", "64 landmarks over both", "fifteen", ("model.landmarks_over=all",)),
        Row("exact", "exact attention", "fifteen", ("model.landmarks=none",)),
    ),
    "partial-structures": (
        _CRYSFORMER,
        Row("without", "without partial structures", changes=("model.partial_structures=false",)),
        Row("wrong", "residues of another crystal", tests="crysformer", wrong_residues=True),
        Row("unet", "U-Net", "dipeptide-unet"),
        Row("unet-ps", "U-Net+PS", "dipeptide-unet-ps"),
    ),
    "ablations": (
        _CRYSFORMER,
        Row("joint", "attention of both over both", changes=("model.attention=joint",)),
        Row("zeros", "convolutions padded with zeros", changes=("model.padding=zeros",)),
        Row("correlation", "loss 1 - PC instead of relative MSE", changes=("loss=correlation",)),
        Row("stored", "stored orientations only", changes=("rotate=false",)),
    ),
}  # fmt: skip

#: The paper's figures for rows that it has (arXiv:2310.03899, table 1 and section 4.2).
PUBLISHED: Mapping[str, Mapping[str, Published]] = {
    "table1": {
        "unet": Published(0.735, 67.40, 50, 28.93),
        "unet-r": Published(0.775, 58.67, 90, 29.06),
        "unet-ps-r": Published(0.839, 51.34, 90, 29.31),
        "crysformer": Published(0.939, 35.16, 35, 12.37),
    },
    "fifteen": {
        "crysformer": Published(0.747, None, 80, 6.28 * 60),
        "crysformer-r": Published(0.77, 67.66, 100, 6.28 * 60),
    },
}


def rows_of(experiment: str) -> Sequence[Row]:
    """Look an experiment up by name.

    Raises
    ------
    UsageError
        If there is no such experiment.
    """
    if experiment not in EXPERIMENTS:
        raise UsageError(f"unknown experiment {experiment!r}; expected {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[experiment]
