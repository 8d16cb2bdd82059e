"""What the label of a column says about its content."""

from __future__ import annotations

import re
from typing import Final

from crysformer.crystal.reflections import Kind

_CALCULATED: Final = re.compile(
    r"fc($|[^a-z])|f[-_]?(calc|model)|[0-9]?m?fo-?d?fc|fwt|delfwt|fem($|[^a-z])", re.IGNORECASE
)
#: Words of anomalous, isomorphous and dispersive differences anywhere in a label.
_DIFFERENCE_WORD: Final = re.compile(
    r"d[-_]?ano|anom|(^|[^a-z])ano($|[^a-z])|d[-_]?iso|d[-_]?disp|diff(?!ract)|delta|"
    r"(^|[^a-z])del($|[-_ ]|[fij])",
    re.IGNORECASE,
)
#: Labels that begin as a difference does: DF, dF, D_F, DI, DP (in CCP4 an anomalous difference).
_DIFFERENCE_START: Final = re.compile(r"[dD][-_]?[FIJP](?![a-z]{3})|d[fijp]($|[^a-z])")
_SIGMA: Final = re.compile(r"^[-_ ]*(sigma|sig|sd|esd)[-_ ]*(of)?[-_ ]*|[-_ ]*(sigma|sig)$", re.I)
#: First words of labels, as letters only.
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("f", "fp", "fo", "fobs", "fmean", "fmeas", "fph", "famp"), "amplitudes"),
    **dict.fromkeys(("ampl", "amplitude", "amplitudes"), "amplitudes"),
    **dict.fromkeys(("i", "im", "imean", "iobs", "io", "imeas", "int", "j"), "intensities"),
    **dict.fromkeys(("intensity", "intensities"), "intensities"),
    **dict.fromkeys(("fsq", "fsqr", "fosq", "fsquared", "fosquared", "fsqd"), "intensities"),
}
_SQUARED: Final = re.compile(r"^f(o|obs|p|meas)?[-_ ]*(\^|\*\*)[-_ ]*2|^f[-_ ]*squared", re.I)


def plain(label: str) -> str:
    """A label in lower case without punctuation: the same for all ways to write it."""
    return re.sub(r"[^a-z0-9+]", "", label.lower().replace("(-)", "minus"))


def plain_sigma(label: str) -> str:
    """The label of the value whose uncertainty has this one, as `plain` writes it."""
    return re.sub("sig(ma)?", "", plain(label), count=1)


def is_calculated(label: str) -> bool:
    """Test for amplitudes calculated from a model, and map coefficients."""
    return _CALCULATED.match(label) is not None


def is_difference(label: str) -> bool:
    """Test for anomalous, isomorphous or dispersive differences, or their uncertainties.

    A difference of amplitudes looks like an amplitude to every program, and phases nothing.
    """
    value = _SIGMA.sub("", label)
    return bool(_DIFFERENCE_WORD.search(value) or _DIFFERENCE_START.match(value))


def kind_by_label(label: str) -> Kind | None:
    """What the label claims to be, or None where it claims nothing."""
    if _SQUARED.match(label):
        return "intensities"
    words = re.findall(r"[A-Za-z]+", label)
    return _KINDS.get(words[0].lower()) if words else None
