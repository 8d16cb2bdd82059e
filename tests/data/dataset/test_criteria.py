"""All criteria of the paper's appendix B on local files, each with its count."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.data import Criteria, build
from crysformer.data.dataset.entries import Entry, refusals
from crysformer.errors import InputError, UsageError

HEADER = ("id", "pdb_id", "method", "resolution", "r_free", "year", "cluster_30")
#: Facts of sample chains; the last column is what becomes of them.
ROWS = [
    ("1avy_A", "1avy", "X-RAY", "1.85", "0.253", "2000", "c1", ""),
    ("1b2x_A", "1b2x", "X-RAY", "1.80", "0.236", "1999", "c2", ""),
    ("1bnz_A", "1bnz", "X-RAY", "2.00", "0.236", "1999", "c2", "entry_not_best_of_its_cluster"),
    ("1bhc_A", "1bhc", "X-RAY", "1.10", "0.300", "1999", "c2", "entry_r_free_above_0.28"),
    ("1mof_A", "1mof", "X-RAY", "2.80", "0.200", "1999", "c3", "entry_resolution_worse_than_2.75"),
    ("1msi_A", "1msi", "X-RAY", "1.25", "0.200", "1995", "c4", "entry_released_before_1996"),
    ("1shg_A", "1shg", "SOLUTION NMR", "", "", "1996", "c5", "entry_not_xray"),
    ("1vfy_A", "1vfy", "X-RAY", "1.15", "", "1999", "c6", "strict_r_free_unknown"),
]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.tsv"
    path.write_text("".join("\t".join(row[:7]) + "\n" for row in [HEADER, *ROWS]))
    return path


def files(structures: Path) -> list[Path]:
    return [structures / f"{row[0]}.pdb.gz" for row in ROWS]


def test_every_criterion_is_applied_and_counted(
    structures: Path, index: Path, tmp_path: Path
) -> None:
    manifest = build(
        files(structures), tmp_path / "out", "dipeptide", index, strict=True, representatives=True
    )
    expected = {row[7]: 1 for row in ROWS if row[7]}
    found = {name: n for name, n in manifest.discards.items() if name in expected}
    assert found == expected
    assert manifest.counts["chains"] == 2
    assert manifest.kept_unknown == {}
    assert manifest.representatives


def test_criteria_can_be_changed(structures: Path, index: Path, tmp_path: Path) -> None:
    criteria = Criteria(released_after=1990, min_length=60, max_resolution=3.0, max_r_free=0.35)
    manifest = build(files(structures), tmp_path / "out", "dipeptide", index, criteria=criteria)
    assert not [
        name for name in manifest.discards if name.startswith("entry_") and "xray" not in name
    ]
    assert manifest.discards["chain_shorter_than_60"] >= 1
    assert manifest.criteria == vars(criteria)
    with pytest.raises(UsageError, match="other settings"):
        build(files(structures), tmp_path / "out", "dipeptide", index, resume=True)


@pytest.mark.slow
def test_same_choice_whatever_the_jobs(structures: Path, index: Path, tmp_path: Path) -> None:
    one, two = (
        build(
            files(structures), tmp_path / str(jobs), "dipeptide", index, representatives=True,
            jobs=jobs,
        )
        for jobs in (1, 2)
    )  # fmt: skip
    assert one.hashes == two.hashes
    assert one.discards == two.discards


def test_bounds_are_inclusive_as_in_the_query() -> None:
    at = Entry("1abc", "X-RAY DIFFRACTION", 2.75, 0.28, 1996)
    assert refusals(at) == []
    assert refusals(at, Criteria(max_resolution=2.7)) == ["entry_resolution_worse_than_2.7"]
    assert refusals(at, Criteria(released_after=1996)) == ["entry_released_before_1997"]


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="max_r_free"):
        Criteria(max_r_free=28.0)
    with pytest.raises(UsageError, match="min_length"):
        Criteria(min_length=0)


def test_only_one_of_a_cluster_is_read_without_facts(structures: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.tsv"
    path.write_text("id\tcluster_30\n1avy_A\tc\n1b2x_A\tc\n1bnz_A\t\n")
    chosen = [structures / f"{name}.pdb.gz" for name in ("1b2x_A", "1avy_A", "1bnz_A")]
    manifest = build(chosen, tmp_path / "out", "dipeptide", path, representatives=True)
    assert manifest.discards["entry_not_best_of_its_cluster"] == 1
    assert manifest.counts["chains"] == 2


def test_short_chains_are_counted_as_such(structures: Path, index: Path, tmp_path: Path) -> None:
    manifest = build(
        files(structures), tmp_path / "out", "dipeptide", index, criteria=Criteria(min_length=100),
        representatives=True,
    )  # fmt: skip
    assert manifest.discards["chain_shorter_than_100"] == 3
    assert "entry_not_best_of_its_cluster" not in manifest.discards  # 1bnz is one of the three


def test_nothing_left_is_said(structures: Path, index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="entry_resolution_worse_than_0"):
        build(
            files(structures)[:2], tmp_path / "out", "dipeptide", index,
            criteria=Criteria(max_resolution=0.5),
        )  # fmt: skip
