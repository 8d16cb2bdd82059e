"""Amplitudes that were taken for intensities, or the other way round, by their distribution.

Of acentric intensities that are amplitudes in truth, <I^2>/<I>^2 is 4/pi = 1.27 and <|L|> 0.29,
less than any crystal or twin has; of amplitudes that are intensities in truth, 6 and ln 2 = 0.69.
Of centric reflections alone: pi/2 and 35/3 = 11.7 (Wilson, Acta Cryst. 2, 318, 1949).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

import numpy as np

from crysformer.crystal.io.labin import assignment
from crysformer.crystal.quality.moments import Moments
from crysformer.crystal.quality.twinning import LTest
from crysformer.crystal.reflections import Kind

_SIGMAS: Final = 4.0
#: The least <I^2>/<I>^2 (a perfect twin), acentric and centric, and the least <|L|>.
_LEAST: Final = 1.5
_LEAST_CENTRIC: Final = 2.0
_LEAST_L: Final = 0.375
#: Amplitudes were squared above these: <I^2>/<I>^2 of acentric reflections with <|L|>, or without;
#: <|E^2-1|> of centric ones (0.968 is right, 1.39 is that of squares), which outliers hardly raise.
_MOST: Final = 4.0
_HIGH: Final = 3.7  # centric reflections that count as acentric have 3 and 2 / pi = 0.637
_MOST_L: Final = 0.55
_MOST_DEVIATION: Final = 1.2


def wrong_kind(
    kind: Kind,
    acentric: Moments | None,
    centric: Moments | None,
    test: LTest | None,
    completeness: float,
) -> str | None:
    """Name the evidence that the columns do not hold what they were taken for.

    Parameters
    ----------
    kind
        What they were taken for.
    acentric, centric
        Moments of the intensities; None where there are too few.
    test
        The L-test; None where there are too few pairs.
    completeness
        Fraction of the reflections that are measured. If the others were left out because they
        are weak, the distribution looks like one of amplitudes.

    Returns
    -------
    The figures that are impossible, or None.
    """
    if acentric is None and centric is None:
        return None
    found, usual = (acentric, True) if acentric is not None else (centric, False)
    assert found is not None
    l_figure = "" if test is None else f", <|L|> {test.mean_abs:.3f}"
    figures = f"<I^2>/<I>^2 {found.second:.2f}{l_figure}"
    if kind == "intensities":
        least = _least_of_cut(completeness, _LEAST if usual else _LEAST_CENTRIC)
        low = found.second + _SIGMAS * found.second_error < least
        possible = test is not None and test.mean_abs + _SIGMAS * test.error > _LEAST_L
        return figures if low and not possible else None
    if not usual:
        high = found.deviation - _SIGMAS * found.deviation_error > _MOST_DEVIATION
        return f"{figures}, <|E^2-1|> {found.deviation:.3f}" if high else None
    # one strong reflection raises the moments, pseudo-translation too; L feels neither
    if test is None:
        return figures if found.second - _SIGMAS * found.second_error > _MOST else None
    high = found.second > _HIGH and test.mean_abs - _SIGMAS * test.error > _MOST_L
    return figures if high else None


def wrong_kind_warning(kind: Kind, columns: Sequence[str], data_set: str, figures: str) -> str:
    """One sentence that names the columns, the evidence, and the option that reads them rightly.

    Parameters
    ----------
    kind, columns, data_set
        What the columns were taken for, their labels, and the data set or block they are from.
    figures
        Of `wrong_kind`.
    """
    other: Kind = "amplitudes" if kind == "intensities" else "intensities"
    # a SHELX list has no labels of its own
    if not data_set and tuple(columns) in (("I", "SIGI"), ("F", "SIGF")):
        option = "F,SIGF" if other == "amplitudes" else "I,SIGI"
    else:
        option = shlex.quote(assignment(other, columns))
    return (
        f"the {kind} {', '.join(columns[::2])} are distributed as {other} are ({figures}); if "
        f"they are, give `labin` {option}"
    )


def _least_of_cut(completeness: float, least: float) -> float:
    """The least <I^2>/<I>^2 of acentric reflections whose weakest ones are missing.

    What is left of an exponential distribution above a limit c is the same one moved by c.
    """
    cut = -np.log(np.clip(completeness, 1e-3, 1.0))
    return min(least, float(1 + 1 / (1 + cut) ** 2))
