"""Sections of the report as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from crysformer.crystal.quality.report import DataReport
from crysformer.inline_html import html_text
from crysformer.phasing.sequence_support.verdict import likelier
from crysformer.report.html.advice import advice
from crysformer.report.html.charts import Series, chart
from crysformer.report.html.reliability import reliability_section
from crysformer.report.html.result_folder import ResultFolder
from crysformer.report.html.tables import table
from crysformer.report.html.words import (
    FIGURES,
    KINDS,
    NO_RANGE,
    R_FACTORS,
    RANGES,
    hand,
    kind_of_candidate,
    not_checked,
    order_of_candidates,
    verdict,
)
from crysformer.wording import build_command, option, r_factors_text

#: Method, or part of its name: reference.
_OF_METHODS = {
    "charge-flipping": "Oszlanyi and Suto, Acta Cryst. A60, 134 (2004); A61, 147 (2005)",
    "raar": "Luke, Inverse Problems 21, 37 (2005)",
    "network": "Dun et al., CrysFormer, arXiv:2310.03899",
    "fragments": "Crowther and Blow, Acta Cryst. 23, 544 (1967)",
}
_REFERENCES = (
    ("figures of merit", "Sim, Acta Cryst. 13, 511 (1960)"),
    ("L-test", "Padilla and Yeates, Acta Cryst. D59, 1124 (2003)"),
    ("files and symmetry", "Wojdyr, GEMMI, J. Open Source Softw. 7, 4200 (2022)"),
    ("viewer", "Wojdyr, UglyMol, J. Open Source Softw. 2, 350 (2017)"),
)
_MOST_CANDIDATES = 8
_PARAMETER = re.compile(r"`([a-z_]+)`")
#: Confidence below which its course is told rather than drawn.
_FLAT = 0.05


def verdict_section(summary: Mapping[str, Any]) -> str:
    """The verdict in words, with the confidence as a bar."""
    headline, text = verdict(summary)
    kind = "good" if summary["solved"] else "bad"
    percent = round(100 * float(summary["confidence"]))
    bar = (
        f'<div class="bar" role="img" aria-label="confidence {percent} of 100, claimed from 90">'
        f'<span style="width:{percent}%"></span><i style="left:90%"></i></div>'
    )
    return (
        f'<p class="headline {kind}">{escape(headline)}</p>{bar}<p>{escape(text)} '
        f"{escape(hand(summary))}</p>{reliability_section(float(summary['confidence']))}"
        f"{_what_next(summary)}"
    )


def _what_next(summary: Mapping[str, Any]) -> str:
    found = advice(summary)
    if (summary.get("program") or {}).get("command"):  # else it was solved in Python
        found = [_PARAMETER.sub(lambda name: f"`{option(name[1])}`", text) for text in found]
    items = "".join(f"<li>{html_text(text)}</li>" for text in found)
    return f"<h3>What to try next</h3><ul>{items}</ul>" if items else ""


def facts_section(results: ResultFolder) -> str:
    """The crystal and the run in a few lines."""
    summary, data = results.summary, results.data
    cell = ", ".join(f"{x:.2f}" for x in data.cell.parameters)
    facts = []
    asked = summary.get("input") or {}
    if asked:
        facts += [
            ("data file", asked["data"]),
            ("sequence", ", ".join(asked["sequence"]) or "not given"),
        ]
    facts += [
        ("method", f"{summary['method']}, {summary['seconds']:.1f} s"),
        ("space group", summary["space_group"]),
        ("cell", f"{cell} (A, degrees)"),
        ("reflections", f"{int(data.measured.sum()):,} to {data.d_min:.2f} A"),
        ("origin", summary.get("origin", "")),
    ]
    refined = summary.get("refinement") or {}
    if refined.get("r_work") is not None:
        facts.append(("R factors", r_factors_text(refined)))
    support = summary.get("sequence") or {}
    if support.get("supported") is not None:
        answer = "supported" if support["supported"] else "refuted"
        facts.append(
            ("that sequence is", f"{answer} by the amplitudes ({support['probability']:.2f})")
        )
    elif unchecked := not_checked(summary):
        facts.append(("that sequence is", unchecked))
    if summary["solved"] and (other := likelier(support)):
        facts.append(("likelier sequence", other))
        facts.append(("a model with it", build_command(results.path, support["other"])))
    if proposed := summary.get("proposed_sequence"):
        facts.append(("proposed sequence", proposed["sequence"]))
        if not asked.get("sequence"):
            facts.append(("a model with it", build_command(results.path, "proposed")))
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in facts)
    return f"<dl>{items}</dl>"


def search_section(summary: Mapping[str, Any]) -> str:
    """Best confidence so far against time, a line for each method; empty for a single turn."""
    course = summary.get("course") or []
    series = []
    for method in dict.fromkeys(point["method"] for point in course):
        points = [point for point in course if point["method"] == method]
        x = [float(point["seconds"]) for point in points]
        y = list(accumulate((float(point["confidence"]) for point in points), max))
        end = max(float(point["seconds"]) for point in course)
        series.append(Series(method, [*x, end], [*y, y[-1]], "steps"))
    if len(course) < 2:
        return ""
    best = max(float(point["confidence"]) for point in course)
    if best < _FLAT:
        last = max(float(point["seconds"]) for point in course)
        methods = ", ".join(one.name for one in series)
        return (
            f"<p>In {len(course)} turns over {last:.0f} s no method ({escape(methods)}) reached a "
            f"confidence of {_FLAT:g}.</p>"
        )
    drawn = chart(
        "Best confidence of each method so far against time", series, "time / s",
        "best confidence so far",
        y_range=(0, 1),
    )  # fmt: skip
    return f'<figure class="wide">{drawn}</figure>' if drawn else ""


def candidates_section(summary: Mapping[str, Any]) -> str:
    """The candidates with their figures under plain names."""
    candidates = summary["candidates"][:_MOST_CANDIDATES]
    if not candidates:
        return ""
    names = list(dict.fromkeys(name for c in candidates for name in c["figures"]))
    head = ["method", "confidence", *(FIGURES.get(name, (name, ""))[0] for name in names)]
    rows = [
        [c["method"], c["confidence"], *(c["figures"].get(name) for name in names)]
        for c in candidates
    ]
    shown = {(name, kind_of_candidate(c["figures"])) for c in candidates for name in c["figures"]}
    meaning = [
        [*FIGURES[name], KINDS[kind], *RANGES[kind].get(name, NO_RANGE)]
        for name in names
        for kind in KINDS
        if name in FIGURES and (name, kind) in shown
    ]
    order = order_of_candidates(candidates)
    why = f"<p>{escape(order)}</p>" if order else ""
    r = [c["figures"].get("r") for c in candidates]
    if any(x is not None and r[0] is not None and x < r[0] for x in r[1:]):
        why += (
            "<p>A candidate further down can have the lower R: density and free atoms fit wrong "
            "phases as well, so the confidence weighs R against the number of parameters and "
            "against amplitudes that were held out.</p>"
        )
    if (summary.get("refinement") or {}).get("r_work") is not None:
        why += f"<p>{escape(R_FACTORS)}</p>"
    return (
        table(head, rows, "Candidates, best first")
        + why
        + "<details><summary>What the figures mean</summary>"
        + table(["figure", "meaning", "of", "right solutions", "wrong ones"], meaning)
        + "<p>The ranges hold 5 to 95 % of candidates with known phases. Where those of right and "
        "wrong ones overlap, the figure alone does not tell; the confidence weighs all of them.</p>"
        + "</details>"
    )


def space_groups_section(summary: Mapping[str, Any]) -> str:
    """Space groups that the phases support, as found in P1."""
    groups = [g for g in summary.get("space_groups", []) if g["supported"] or g["stated"]]
    if len(groups) < 2:
        return ""
    rows = [
        [
            group["name"] + (" (stated)" if group["stated"] else ""),
            group["agreement"],
            "yes" if group["supported"] else "no",
        ]
        for group in groups
    ]
    return table(["space group", "agreement of symmetry mates", "supported"], rows)


def data_section(
    summary: Mapping[str, Any], report: DataReport, charts: Sequence[tuple[str, str, str]]
) -> str:
    """Charts of the data, the report in lines, and its warnings.

    Lines and warnings are those of the summary, on the user's file; of `report`, on the copy of its
    amplitudes, where the summary has none.
    """
    stated = summary.get("data") or {}
    if "text" not in stated:
        stated = {"text": report.lines(), "warnings": report.warnings}
    figures = "".join(
        f"<figure><figcaption><b>{escape(title)}.</b> {escape(text)}</figcaption>{drawn}</figure>"
        for title, drawn, text in charts
    )
    warned = "".join(f'<p class="warning">{escape(text)}</p>' for text in stated["warnings"])
    listed = "".join(f"<li>{escape(line)}</li>" for line in stated["text"])
    return f'{warned}<div class="charts">{figures}</div><ul>{listed}</ul>'


def notes_section(summary: Mapping[str, Any]) -> str:
    """Assumptions and ambiguities of the run."""
    of_model = (summary.get("refinement") or {}).get("notes", [])  # shown with the model
    notes = "".join(
        f"<li>{html_text(note)}</li>" for note in summary.get("notes", []) if note not in of_model
    )
    return f"<ul>{notes}</ul>" if notes else ""


def files_section(results: ResultFolder) -> str:
    """Files of the folder, the program, and references."""
    names = ", ".join(path.name for path in results.files)
    program = results.summary.get("program") or {}
    run = ""
    if program:
        others = ", ".join(f"{k} {v}" for k, v in program.get("packages", {}).items())
        run = f"<p>crysformer {escape(str(program.get('version', '')))}; {escape(others)}</p>" + (
            f"<pre>{escape(command)}</pre>" if (command := program.get("command")) else ""
        )
    summary = results.summary
    used = {summary["method"], *(c["method"] for c in summary["candidates"])}
    used |= {point["method"] for point in summary.get("course") or ()}
    of_methods = [(m, text) for m, text in _OF_METHODS.items() if any(m in name for name in used)]
    references = "".join(
        f"<li>{escape(what)}: {escape(source)}</li>" for what, source in (*of_methods, *_REFERENCES)
    )
    return f"{run}<p>In this folder: {escape(names)}.</p><h3>References</h3><ul>{references}</ul>"
