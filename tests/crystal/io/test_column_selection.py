"""Which columns of a file are taken as the measurement."""

from __future__ import annotations

import numpy as np
import pytest

from crysformer.crystal.io.column_selection import choose_columns
from crysformer.crystal.io.free_flags import find_free_flags
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError, UsageError


def table(spec: str) -> ReflectionTable:
    """A file whose columns are written ``label/type label/type ...``."""
    columns = tuple(
        Column(*word.rsplit("/", 1), values=np.ones(3))  # type: ignore[arg-type]
        for word in spec.split()
    )
    return ReflectionTable("data.mtz", np.eye(3, dtype=np.int32), columns)


@pytest.mark.parametrize(
    ("spec", "labels", "kind"),
    [
        ("FP/F SIGFP/Q", "FP SIGFP", "amplitudes"),
        # Amplitudes are used even beside intensities, wherever they stand.
        ("I/J SIGI/Q FP/F SIGFP/Q FREE/I", "FP SIGFP", "amplitudes"),
        ("IMEAN/J SIGIMEAN/Q", "IMEAN SIGIMEAN", "intensities"),
        # Amplitudes without uncertainty (calculated, map coefficients) never count.
        ("F/F SIGF/Q FC/F PHIC/P FWT/F PHWT/P FOM/W", "F SIGF", "amplitudes"),
        ("FC/F PHIC/P I/J SIGI/Q", "I SIGI", "intensities"),
        # Nor do calculated amplitudes that carry one, nor anomalous differences.
        ("FC/F SIGFC/Q FP/F SIGFP/Q", "FP SIGFP", "amplitudes"),
        ("DP/D SIGDP/Q FP/F SIGFP/Q", "FP SIGFP", "amplitudes"),
        ("FP/F DP/D SIGDP/Q SIGFP/Q", "FP SIGFP", "amplitudes"),
        # Uncertainties are found by name, in any order, or by place where names do not tell.
        ("SIGFOBS_X/Q FREE/I FOBS_X/F", "FOBS_X SIGFOBS_X", "amplitudes"),
        ("SIGI/Q SIGF/Q I/J F/F", "F SIGF", "amplitudes"),
        ("native/F error/Q", "native error", "amplitudes"),
        ("F-obs/F SIGF-obs/Q", "F-obs SIGF-obs", "amplitudes"),
        # Friedel mates alone, amplitudes before intensities.
        (
            "I(+)/K SIGI(+)/M I(-)/K SIGI(-)/M F(+)/G SIGF(+)/L F(-)/G SIGF(-)/L",
            "F(+) SIGF(+) F(-) SIGF(-)",
            "amplitudes",
        ),
        (
            "Iplus/K SIGIplus/M Iminus/K SIGIminus/M",
            "Iplus SIGIplus Iminus SIGIminus",
            "intensities",
        ),
        ("F(+)/G F(-)/G SIGF(-)/L SIGF(+)/L", "F(+) SIGF(+) F(-) SIGF(-)", "amplitudes"),
        ("F(+)/G SIGF(+)/L F(-)/G SIGF(-)/L I/J SIGI/Q", "I SIGI", "intensities"),
        (
            "F(+)/G SIGF(+)/L F(-)/G SIGF(-)/L Fc(+)/G PHIFc(+)/P Fc(-)/G",
            "F(+) SIGF(+) F(-) SIGF(-)",
            "amplitudes",
        ),
        # Untyped real columns: known labels.
        ("FP/R SIGFP/R", "FP SIGFP", "amplitudes"),
        ("A/R B/R IMEAN/R SIGIMEAN/R", "IMEAN SIGIMEAN", "intensities"),
    ],
)
def test_choice(spec: str, labels: str, kind: str) -> None:
    found = choose_columns(table(spec))
    assert found.labels == tuple(labels.split())
    assert found.kind == kind


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("F/F SIGF/Q FP/F SIGFP/Q", ["`labin` F,SIGF", "`labin` FP,SIGFP"]),
        ("I/J SIGI/Q IMEAN/J SIGIMEAN/Q", ["`labin` I,SIGI", "`labin` IMEAN,SIGIMEAN"]),
        (
            "Fa(+)/G SIGFa(+)/L Fa(-)/G SIGFa(-)/L Fb(+)/G SIGFb(+)/L Fb(-)/G SIGFb(-)/L",
            ["`labin` 'Fa(+),SIGFa(+),Fa(-),SIGFa(-)'", "`labin` 'Fb(+),SIGFb(+),Fb(-),SIGFb(-)'"],
        ),
        # One mean amplitude without uncertainty: allowed only when asked for.
        ("F_meas/F FREE/I", ["`labin` F_meas"]),
    ],
)
def test_stops_with_options_to_paste(spec: str, options: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        choose_columns(table(spec))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("data.mtz: ")
    for option in options:
        assert option in message


@pytest.mark.parametrize("spec", ["F/F SIGF/Q FP/F SIGFP/Q", "F_meas/F FREE/I"])
def test_offered_option_is_accepted(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_columns(table(spec))
    labin = str(caught.value).split("`labin` ")[1].split()[0]
    assert ",".join(choose_columns(table(spec), labin).labels) == labin


@pytest.mark.parametrize("spec", ["FREE/I", "FC/F PHIC/P", "DP/D SIGDP/Q", "PHI/P FOM/W", ""])
def test_nothing_measured(spec: str) -> None:
    with pytest.raises(InputError, match="no amplitudes"):
        choose_columns(table(spec))


def test_labin_takes_friedel_mates() -> None:
    mates = table("FP/F SIGFP/Q F(+)/G SIGF(+)/L F(-)/G SIGF(-)/L")
    found = choose_columns(mates, "F(+),SIGF(+),F(-),SIGF(-)")
    assert [c.label for c in found.values] == ["F(+)", "F(-)"]
    assert [c.label for c in found.sigmas] == ["SIGF(+)", "SIGF(-)"]


@pytest.mark.parametrize(
    ("labin", "says"),
    [
        ("FX,SIGFX", "no column FX"),
        ("FP,SIGX", "no column SIGX"),
        ("PHIC", "a phase"),
        ("PHIC,SIGFP", "a phase"),
        ("DP,SIGDP", "an anomalous difference"),
        ("FP,PHIC", "expected a standard uncertainty"),
        ("FP,SIGFP,I,SIGI", "mixes"),
    ],
)
def test_wrong_labin(labin: str, says: str) -> None:
    spec = "FP/F SIGFP/Q I/J SIGI/Q PHIC/P DP/D SIGDP/Q"
    with pytest.raises(InputError, match=says):
        choose_columns(table(spec), labin)


@pytest.mark.parametrize("labin", ["", "FP,SIGFP,I", ",", "FP,"])
def test_malformed_labin(labin: str) -> None:
    with pytest.raises(UsageError, match="expected F,SIGF"):
        choose_columns(table("FP/F SIGFP/Q I/J SIGI/Q"), labin)


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("FP/F SIGFP/Q FREE/I", "FREE"),
        ("R-free-flags/I FP/F", "R-free-flags"),
        ("FLAG/I FreeR_flag/I", "FreeR_flag"),
        ("FLAG/I NUMBER/I", None),
        ("FREE/F", None),
    ],
)
def test_free_flags(spec: str, label: str | None) -> None:
    found, _ = find_free_flags(table(spec))
    assert (found.label if found else None) == label
