"""Write docs/what-solves-what.md: python docs/make_what_solves_what.py PEERS.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from crysformer.evaluation.peers.results import PeerResult
from crysformer.evaluation.peers.tables import Pair, PeerSummary
from crysformer.report.peers import EXPLANATION, crystal_table, pair_table

HEAD = """# What solves what

Made by `python docs/make_what_solves_what.py` from the record of `crysformer benchmark peers`
([benchmarks.md](benchmarks.md#other-programs-and-two-versions-of-this-one)).

| crystal | content | space group | resolution (Å) | truth |
|---|---|---|---:|---|
"""
CRYSTALS = {
    "2OL9": "SNQNNF | P1 | 0.85 | deposited model",
    "Gly-Ala": "Gly-L-Ala, a small-molecule set, not distributed here | P2₁2₁2₁ | 0.65 | none here",
    "4UBZ": "GGYLLG, two chains | P2₁ | 1.20 | none here",
    "1BYZ": "Ac-ELLKKLLEELKG, four chains | P1 | 0.90 | deposited model",
    "5AWL": "YYDPETGTWY | P2₁2₁2 | 1.11 | deposited model",
    "1YJP": "GNNQQNY | P2₁ | 1.80 | deposited model",
    "5E5Z": "LVHSSN | P2₁ | 1.66 | deposited model",
    "2ONA": "MVGGVV, four chains, 44 % measured | P1 | 2.03 | deposited model",
    "1BDW": "gramicidin D (two chains with D residues) | P2₁2₁2₁ | 1.70 | none here",
}
REMARK = """`solve` with 60 s: three seeds of 2OL9, Gly-Ala, 4UBZ and 1BYZ, with the sequence
also of 1YJP and 5E5Z; one of the others, which end at the limit (5AWL takes two minutes, see
[ladders](methods/fragments.md#ladders)). The machine ran one or two other jobs beside. The runs of
the other programs are of an earlier date."""
USED = """2OL9, Gly-Ala, 1BYZ, 1YJP and 5E5Z were used in the development of the solver, 5AWL and
4UBZ in that of [ladders](methods/fragments.md#ladders)."""


def page(content: dict[str, object]) -> str:
    """Format the record as the page."""
    summaries = [PeerSummary(**one) for one in content["summaries"]]  # type: ignore[attr-defined]
    pairs = [Pair(**one) for one in content["pairs"]]  # type: ignore[attr-defined]
    runs = [PeerResult(**run) for run in content["runs"]]  # type: ignore[attr-defined]
    programs: dict[str, dict[str, str]] = content["programs"]  # type: ignore[assignment]
    lines = [HEAD + "\n".join(f"| {name} | {text} |" for name, text in CRYSTALS.items()), "", USED]
    missing = [name for name in CRYSTALS if name not in {s.crystal for s in summaries}]
    lines += ["", f"Not run yet: {', '.join(missing)}."] if missing else []
    lines += ["", "## Measured", "", f"{content['machine']}. {content['note']}", "", REMARK, ""]
    lines += [
        f"- **{n}**: {about['description']} ({about['version']})" for n, about in programs.items()
    ]
    lines += ["", *crystal_table(summaries, programs), "", *EXPLANATION, "", *pair_table(pairs)]
    lines += [
        "",
        "## Every run",
        "",
        "| crystal | program | seed | CPU s | wall s | ended by | claimed | confidence "
        "| phase error (°) | method |",
    ]
    lines += ["|---|---|---:|---:|---:|---|---|---:|---:|---|"]
    lines += [_run(run) for run in runs if run.status == "done"]
    return "\n".join(lines) + "\n"


def _run(run: PeerResult) -> str:
    confidence = "-" if run.confidence is None else f"{run.confidence:.2f}"
    error = "-" if run.weighted_phase_error is None else f"{run.weighted_phase_error:.1f}"
    return (
        f"| {run.crystal} | {run.program} | {run.seed} | {run.cpu_seconds:.1f} | "
        f"{run.seconds:.0f} | {run.stopped} | {'yes' if run.claimed else 'no'} | {confidence} | "
        f"{error} | {run.figures.get('method', '-')} |"
    )


if __name__ == "__main__":
    record = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    target = Path(__file__).parent / "what-solves-what.md"
    target.write_text(page(record), encoding="utf-8")
