"""Write the tables of results in README.md and docs/results.md: python docs/make_results.py.

Their source is results.json, and for the leaderboard the files in leaderboard/ (see its README.md).
--check changes nothing and fails if a page does not agree with them. --add makes an entry of the
leaderboard from the metrics.json that `crysformer evaluate` wrote:

    python docs/make_results.py --add "NAME" --metrics OUT/metrics.json --date 2026-11-28 \
        --link URL --hardware "one core of ..." --command "what made the phases"
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HEAD = (
    "| crystals | method | time limit | n | solved | claimed | mean phase error | F-weighted "
    "| seconds each |\n|---|---|---|---:|---:|---:|---:|---:|---:|"
)
BOARD_HEAD = (
    "| entry | date | recipe | d_min | n | PC | PC, aligned | phase error | aligned | solved "
    "| data |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|"
)
#: What an entry takes from metrics.json.
METRICS = (
    "method", "split", "recipe", "n", "seed", "d_min", "amplitude_error", "completeness", "pc",
    "pc_aligned", "mean_phase_error", "mean_phase_error_aligned", "weighted_phase_error_aligned",
    "solved_share", "seconds", "data_sha256", "version",
)  # fmt: skip
ABOUT = ("name", "date", "link", "hardware", "command")


def results_table(content: Mapping[str, Any], readme: bool) -> str:
    """Format the rows, for the README only those that it shows."""
    rows = [row for row in content["rows"] if row["readme"] or not readme]
    return "\n".join([HEAD, *(_row(row) for row in rows)])


def network_text(content: Mapping[str, Any]) -> str:
    """Say what the network alone reaches."""
    m = content["network"]
    return (
        f"The network alone (`predict`, test split, {m['n']} {m['crystals']}): PC {m['pc']:.3f} "
        f"and a mean phase error of\n{m['mean_phase_error']:.1f}° without any alignment, in "
        f"{m['seconds']:.1f} s; {m['solved_share']:.0%} solved.".replace("%", " %")
    )


def leaderboard_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Format the entries by recipe, resolution and quality of the data, best first."""
    if not entries:
        return "No entry yet."
    ranked = sorted(
        entries,
        key=lambda e: (
            e["recipe"], e["d_min"], e["amplitude_error"], -e["completeness"], -e["solved_share"],
            e["mean_phase_error_aligned"],
        ),
    )  # fmt: skip
    return "\n".join([BOARD_HEAD, *(_entry(entry) for entry in ranked)])


def entry_of(metrics: Mapping[str, Any], about: Mapping[str, str]) -> dict[str, Any]:
    """Make an entry of the leaderboard.

    Raises
    ------
    ValueError
        If the metrics are not of the test split of a data set, or something is missing.
    """
    missing = [name for name in METRICS if metrics.get(name) in (None, "")]
    missing += [name for name in ABOUT if not about.get(name)]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}")
    if metrics["split"] != "test":
        raise ValueError(f"measured on the {metrics['split']} split, expected test")
    datetime.date.fromisoformat(about["date"])
    return {**{n: about[n] for n in ABOUT}, **{n: metrics[n] for n in METRICS}}


def replaced(page: str, marker: str, text: str) -> str:
    """Put text between <!-- MARKER --> and the next <!-- end -->.

    Raises
    ------
    ValueError
        If the page does not have the marker exactly once.
    """
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- end -->)"
    found, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"<!-- {marker} --> found {count} times, expected once")
    return found


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Give the pages as they should be."""
    content = json.loads((root / "results.json").read_text(encoding="utf-8"))
    entries = [
        entry_of(entry, entry)
        for entry in (
            json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((root / "leaderboard").glob("*.json"))
        )
    ]
    readme, results = root / "README.md", root / "docs" / "results.md"
    text = results.read_text(encoding="utf-8")
    for marker, part in (
        ("results", results_table(content, readme=False)),
        ("network", network_text(content)),
        ("leaderboard", leaderboard_table(entries)),
    ):
        text = replaced(text, marker, part)
    table = results_table(content, readme=True)
    return {
        readme: replaced(readme.read_text(encoding="utf-8"), "results", table),
        results: text,
    }


def _row(row: Mapping[str, Any]) -> str:
    parts = row["parts"]

    def joined(form: str, name: str) -> str:
        texts = [form.format(part[name]) for part in parts]
        return " and ".join(texts if name in ("n", "seconds") else dict.fromkeys(texts))

    cells = (
        row["crystals"],
        f"`{row['method']}`",
        f"{row['time_limit']} s",
        joined("{}", "n"),
        joined("{:.0%}", "solved_share").replace("%", " %"),
        joined("{:.0%}", "claimed_share").replace("%", " %"),
        joined("{:.1f}°", "mean_phase_error_aligned"),
        joined("{:.1f}°", "weighted_phase_error_aligned"),
        joined("{:.1f}", "seconds"),
    )
    return "| " + " | ".join(cells) + " |"


def _entry(e: Mapping[str, Any]) -> str:
    quality = ""
    if e["amplitude_error"] or e["completeness"] < 1:
        quality = f", {e['amplitude_error']:.0%} error, {e['completeness']:.0%} complete"
    cells = (
        f"[{e['name']}]({e['link']})",
        e["date"],
        f"{e['recipe']}{quality}".replace("%", " %"),
        f"{e['d_min']:.1f} Å",
        str(e["n"]),
        f"{e['pc']:.3f}",
        f"{e['pc_aligned']:.3f}",
        f"{e['mean_phase_error']:.2f}°",
        f"{e['mean_phase_error_aligned']:.2f}°",
        f"{e['solved_share']:.0%}".replace("%", " %"),
        f"`{e['data_sha256'][:12]}`",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--add", metavar="NAME", help="make an entry of the leaderboard")
    parser.add_argument("--metrics", type=Path, metavar="FILE", help="of the entry")
    for name in ABOUT[1:]:
        parser.add_argument(f"--{name}", help="of the entry")
    args = parser.parse_args()
    if args.add:
        if args.metrics is None:
            parser.error("--add needs --metrics")
        metrics = json.loads(args.metrics.read_text(encoding="utf-8"))
        try:
            entry = entry_of(metrics, {**vars(args), "name": args.add})
        except ValueError as error:
            parser.error(str(error))
        file = re.sub(r"[^a-z0-9]+", "-", args.add.lower()).strip("-") + ".json"
        text = json.dumps(entry, indent=2, ensure_ascii=False) + "\n"
        (ROOT / "leaderboard" / file).write_text(text, encoding="utf-8")
    stale = [p for p, text in pages().items() if p.read_text(encoding="utf-8") != text]
    for path in stale:
        if args.check:
            print(f"{path}: does not agree with results.json; run python docs/make_results.py")
        else:
            path.write_text(pages()[path], encoding="utf-8")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
