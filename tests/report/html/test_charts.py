"""Charts of the report."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from crysformer.report.html.charts import Series, chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3.0, 7.2, [-2.5, 0, 2.5, 5]),
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (0.0027, 0.36, [0.1, 0.2, 0.3]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_points_lie_where_the_axes_say() -> None:
    series = [Series("one", [0.0, 1.0, 2.0], [0.0, 5.0, 10.0], "points")]
    root = ET.fromstring(chart("a < b", series, "x", "y"))
    assert root.get("aria-label") == "a < b"
    circles = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.iter("circle")]
    (x0, y0), (x1, y1), (x2, y2) = circles
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11)
    assert x2 > x0
    assert y2 < y0  # up
    label = {
        t.text: float(t.get("y", "")) for t in root.iter("text") if "end" in t.get("class", "")
    }
    assert label["10"] - 4 == pytest.approx(y2, abs=0.11)
    assert label["0"] - 4 == pytest.approx(y0, abs=0.11)


def test_steps_keep_their_value_until_the_next_point() -> None:
    drawn = chart("title", [Series("best", [0.0, 1.0, 2.0], [0.0, 1.0, 1.0], "steps")], "x", "y")
    path = next(iter(ET.fromstring(drawn).iter("path"))).get("d", "")
    start, across, up, *_ = re.findall(r"([MHL])([\d.]+)", path)
    assert [kind for kind, _ in (start, across, up)] == ["M", "H", "L"]
    assert across[1] == up[1], "the line turns up only where the next point is"


def test_curves_are_interrupted_and_named() -> None:
    x = [0.0, 1.0, 2.0, 3.0]
    drawn = chart(
        "title",
        [Series("found", x, [1.0, math.nan, 2.0, 3.0]), Series("expected", x, x, "dashed")],
        "x",
        "y",
    )
    svg, legend = drawn.split("</svg>")
    path = next(iter(ET.fromstring(svg + "</svg>").iter("path")))
    assert path.get("d", "").count("M") == 2
    assert "found" in legend
    assert "expected" in legend
    assert chart("empty", [Series("none", [0.0], [math.nan])], "x", "y") == ""
