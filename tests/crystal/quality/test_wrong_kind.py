"""Amplitudes read as intensities and intensities read as amplitudes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.crystal.quality.report import data_report
from crysformer.crystal.reflections import CrystalData

Maker = Callable[..., CrystalData]


def read_as(data: CrystalData, kind: str) -> CrystalData:
    """The data as they come out of reading their columns as the wrong kind."""
    f = np.sqrt(data.f) if kind == "intensities" else data.f**2
    return replace(data, f=f, sigf=0.01 * f, kind=kind, labels=("X", "SIGX"))  # type: ignore[arg-type]


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21", "P -1"])
@pytest.mark.parametrize(("kind", "option"), [("intensities", "F=X"), ("amplitudes", "I=X")])
def test_the_wrong_kind_is_told(wilson: Maker, group: str, kind: str, option: str) -> None:
    cell = (20, 22, 24, 90, 90, 90) if "2" in group else (10, 11, 12, 80, 95, 100)
    data = wilson(group, cell, 1.3)
    assert data_report(replace(data, kind=kind)).warnings == ()
    warnings = data_report(read_as(data, kind)).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith(f"the {kind} X are distributed as ")
    assert (
        f"`labin` {option},SIG{option}".replace("SIGF=X", "SIGF=SIGX").replace(
            "SIGI=X", "SIGI=SIGX"
        )
        in warnings[0]
    )


def test_a_list_without_labels_gets_the_short_option(wilson: Maker) -> None:
    data = read_as(wilson("P 1", (10, 11, 12, 80, 95, 100), 1.3), "intensities")
    warning = data_report(replace(data, labels=("I", "SIGI"))).warnings[0]
    assert warning.endswith("`labin` F,SIGF")
    named = data_report(replace(data, labels=("I", "SIGI"), data_set="x/y")).warnings[0]
    assert named.endswith("`labin` F=I,SIGF=SIGI")


def test_twins_cuts_and_symmetry_are_other_things(wilson: Maker) -> None:
    data = replace(wilson(d_min=2.2, twin=0.5), kind="intensities")
    assert "twinned" in data_report(data).warnings[0]
    # the weaker half left out: <I^2>/<I>^2 of 1.35, and yet intensities
    wilson_data = replace(wilson(d_min=2.2), kind="intensities")
    cut = replace(wilson_data, f=np.where(_e2(wilson_data) < 0.69, np.nan, wilson_data.f))
    assert not any("are distributed as" in w for w in data_report(cut).warnings)
    # centric reflections that count as acentric
    centric = wilson("P -1", (20, 22, 24, 80, 95, 100), 1.5)
    acentric = replace(centric, space_group=gemmi.SpaceGroup("P 1"))
    assert not any("are distributed as" in w for w in data_report(acentric).warnings)


def _e2(data: CrystalData) -> np.ndarray:
    from crysformer.crystal.quality.anisotropy import fit_anisotropy

    return fit_anisotropy(data).e_squared
