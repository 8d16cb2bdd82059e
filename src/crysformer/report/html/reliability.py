"""How often solutions with a confidence like this one were right, as measured."""

from __future__ import annotations

from html import escape

from crysformer.report.html.tables import Markup, table
from crysformer.wording import counted

#: Confidence from, and below; crystals, and those of them whose phases were right: `solve` on all
#: conditions of benchmarks/regimes and the controls of benchmarks/control.
RELIABILITY = (
    (0.0, 0.1, 257, 5),
    (0.1, 0.5, 45, 12),
    (0.5, 0.9, 36, 24),
    (0.9, 1.0, 188, 188),
)


def reliability_section(confidence: float) -> str:
    """HTML: where a confidence lies among those of solved benchmark crystals.

    Parameters
    ----------
    confidence
        Of the solution, 0 to 1.
    """
    own = next((row for row in reversed(RELIABILITY) if confidence >= row[0]), RELIABILITY[0])
    rows = []
    for row in RELIABILITY:
        low, high, n, right = row
        name = f"{low:g} to {high:g}"
        shown = Markup(f"<strong>{name}</strong>") if row is own else name
        rows.append([shown, n, right, f"{100 * right / n:.0f} %"])
    low, high, n, right = own
    text = (
        f"Of {counted(n, 'benchmark crystal')} that ended with a confidence {_words(low, high)}, "
        f"{right} had right phases."
    )
    return (
        f"<p>{escape(text)}</p><details><summary>How reliable the confidence is</summary>"
        + table(["confidence", "crystals", "right", ""], rows)
        + "<p>Synthetic crystals from easy to hopeless, and controls without a structure or with a "
        "wrong sequence, none of them used to fit the confidence. Right: F²-weighted mean cosine "
        "of the phase errors of at least 0.85. Real crystals are less often claimed.</p></details>"
    )


def _words(low: float, high: float) -> str:
    if high == 1:
        return f"of {low:.2f} or more"
    return f"below {high:.2f}" if low == 0 else f"from {low:.2f} to {high:.2f}"
