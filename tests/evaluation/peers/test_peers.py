"""Programs side by side: a program of known behaviour, the record, majorities, the real ones."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.peers.crystals import PeerCrystal, from_words, read_peer_list
from crysformer.evaluation.peers.program import Program
from crysformer.evaluation.peers.programs import known_programs
from crysformer.evaluation.peers.results import PeerResult
from crysformer.evaluation.peers.run import refuse_other_versions, run_one, run_peers
from crysformer.evaluation.peers.script_program import Script
from crysformer.evaluation.peers.solve_program import Solve
from crysformer.evaluation.peers.tables import all_pairs, compare, summarise
from crysformer.evaluation.record import Record
from crysformer.report.peers import write_peers
from crysformer.testing import sample

SAMPLES = Path(__file__).parents[2] / "samples"
GF = sample("gf")
CRYSTAL = PeerCrystal("gf", GF.data_path, GF.model_path, GF.sequence, 1)
SNQNNF = PeerCrystal("2ol9", SAMPLES / "2ol9.mtz.gz", SAMPLES / "2ol9.pdb.gz", "SNQNNF", 1)

FAKE = """
import json, random, sys
if sys.argv[1:] == ["version"]:
    print("7.5")
    sys.exit()
job = json.load(open(sys.argv[1]))
if job["seed"] == 2:
    sys.exit("the fake gives up")
phases = json.load(open({phases!r}))
if job["seed"] == 1:
    phases = [[h, 360 * random.random()] for h in job["p1_hkl"]]
json.dump(
    dict(hall="P 1", hkl=[h for h, _ in phases], phi=[phi for _, phi in phases], claimed=True,
         stopped="converged", figures=dict(seed=job["seed"])),
    open(sys.argv[2], "w"),
)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Script:
    """Right phases with seed 0 (shifted and inverted), random ones with 1, a failure with 2."""
    structure = gemmi.read_structure(str(GF.model_path))
    hkl = gemmi.make_miller_array(structure.cell, gemmi.SpaceGroup("P 1"), 1.5)
    structure.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    F = np.array([calculator.calculate_sf_from_model(structure[0], h) for h in hkl.tolist()])
    phi = -np.degrees(np.angle(F)) + 360 * (hkl @ np.array([0.1, 0.27, 0.6]))
    (tmp_path / "phases.json").write_text(
        json.dumps(list(zip(hkl.tolist(), phi.tolist(), strict=True)))
    )
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(phases=str(tmp_path / "phases.json")))
    return Script("fake", "a fake; stops at once", script, needs="nothing")


def test_a_program_is_scored_by_its_phases_and_not_by_its_claims(fake: Script) -> None:
    right, wrong, failed = (run_one(CRYSTAL, fake, seed, 5.0) for seed in range(3))
    assert right.status == wrong.status == "done"
    assert right.solved
    assert right.weighted_phase_error is not None
    assert right.weighted_phase_error < 6
    assert not right.false_claim
    assert wrong.solved is False
    assert wrong.false_claim
    assert right.figures == {"seed": 0}
    assert right.version.startswith("nothing 7.5, script ")
    assert 0 < right.cpu_seconds < 5
    assert failed.status == "crashed"
    assert "the fake gives up" in failed.message


def test_without_a_truth_only_the_claim_is_known(fake: Script) -> None:
    result = run_one(replace(CRYSTAL, truth=None), fake, 1, 5.0)
    assert result.solved is None
    assert result.weighted_phase_error is None
    assert result.succeeded
    assert not result.false_claim


def record(folder: Path, resume: bool = False, **options: object) -> Record[PeerResult]:
    return Record(folder, {"time_limit": 5.0, **options}, resume, PeerResult)


def test_a_run_is_resumed_where_it_ended(fake: Script, tmp_path: Path) -> None:
    log = record(tmp_path / "out")
    run_peers(log, [CRYSTAL], [fake], [0], 5.0)
    again = record(tmp_path / "out", resume=True)
    assert [asdict(r) for r in again.results.values()] == [asdict(r) for r in log.results.values()]
    first = (tmp_path / "out" / "results.jsonl").read_text()
    run_peers(again, [CRYSTAL], [fake], [0, 1, 2], 5.0)
    whole = (tmp_path / "out" / "results.jsonl").read_text()
    assert whole.startswith(first)
    assert set(again.results) == {("gf", "fake", seed) for seed in range(3)}
    assert again.missing([("gf", "fake", 2)])  # a crash is tried again
    refuse_other_versions(again, [fake])
    newer = replace(fake, needs="something newer")
    with pytest.raises(UsageError, match="holds runs of fake nothing"):
        refuse_other_versions(again, [newer])
    with pytest.raises(UsageError, match="was begun with time_limit"):
        Record(tmp_path / "out", {"time_limit": 6.0}, True, PeerResult)
    with pytest.raises(UsageError, match="not empty"):
        record(tmp_path / "out")


def test_no_run_is_begun_after_the_budget(fake: Script, tmp_path: Path) -> None:
    log = record(tmp_path / "out")
    run_peers(log, [CRYSTAL], [fake], range(3), 5.0, budget=-1.0)
    assert not log.results


def result(program: str, crystal: str, seed: int, solved: bool | None, cpu: float) -> PeerResult:
    return PeerResult(
        crystal, program, seed, "done", cpu_seconds=cpu, claimed=True, solved=solved,
        weighted_phase_error=10.0 if solved else 80.0,
    )  # fmt: skip


def test_majorities_and_ratios() -> None:
    results = [
        *(result("solve", "a", s, True, 4.0 + s) for s in range(3)),
        *(result("cctbx", "a", s, s != 1, 2.0) for s in range(3)),
        *(result("solve", "b", s, s == 0, 9.0) for s in range(3)),
        *(result("cctbx", "b", s, s != 2, 3.0) for s in range(3)),
        *(result("solve", "c", s, None, 8.0) for s in range(3)),
        *(result("cctbx", "c", s, None, 1.0) for s in range(3)),
    ]
    summaries = {(s.crystal, s.program): s for s in summarise(results)}
    one = summaries["a", "cctbx"]
    assert (one.n, one.solved, one.majority, one.false_claims) == (3, 2, True, 1)
    assert one.cpu_seconds_per_solution == pytest.approx(3.0)
    assert one.weighted_phase_error == 10.0
    assert summaries["a", "solve"].cpu_seconds == pytest.approx(5.0)
    assert not summaries["b", "solve"].majority
    pair = compare(list(summaries.values()), "solve", "cctbx")
    assert pair is not None
    assert (pair.n, pair.both, pair.only_first, pair.only_second) == (3, 2, 0, 1)
    assert pair.ratios == {"a": 2.5, "c": 8.0}
    assert pair.ratio == pytest.approx((2.5 * 8) ** 0.5, abs=0.01)
    assert compare(list(summaries.values()), "solve", "absent") is None
    assert [(p.first, p.second) for p in all_pairs(list(summaries.values()))] == [
        ("solve", "cctbx")
    ]


def test_the_tables_name_versions_false_claims_and_skipped_programs(
    fake: Script, tmp_path: Path
) -> None:
    log = record(tmp_path / "out")
    run_peers(log, [CRYSTAL], [fake], [0, 1, 2], 5.0)
    programs: dict[str, Program] = {"fake": fake}
    content = write_peers(log, programs, {"cctbx": "no cctbx here"}, "A test.")
    assert json.loads((log.folder / "peers.json").read_text()) == json.loads(json.dumps(content))
    text = (log.folder / "peers.md").read_text()
    assert "**cctbx** was skipped: no cctbx here" in text
    assert "a fake; stops at once (nothing 7.5, script " in text
    assert "1 of 2" in text
    assert "! 1 false" in text
    assert "fake on gf, seed 2: CrysformerError: the fake gives up" in text
    header, row = (log.folder / "peers.tsv").read_text().splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["solved"] == "1"


def test_what_cannot_be_run_says_why(tmp_path: Path) -> None:
    programs = known_programs(cctbx_python=str(tmp_path / "python"))
    assert "No such file" in programs["cctbx"].unavailable()
    script = tmp_path / "script.py"
    script.write_text("import cctbx_is_not_here\n")
    absent = Script("x", "", script, needs="cctbx_is_not_here")
    assert absent.unavailable() == f"no cctbx_is_not_here in {sys.executable}"
    assert Solve("solve-sequence", True).declines(replace(CRYSTAL, sequence=None))
    with pytest.raises(UsageError, match="expected a Python interpreter, or a folder src"):
        known_programs(against=str(tmp_path))


def test_a_second_checkout_is_run_by_its_own_source(tmp_path: Path) -> None:
    package = tmp_path / "src" / "crysformer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "9.9"\n')
    programs = known_programs(against=str(tmp_path / "src"))
    assert programs["other-solve"].version.startswith("9.9")
    assert not programs["solve"].version.startswith("9.9")
    by_python = known_programs(against=sys.executable)
    assert by_python["other-solve-sequence"].version == by_python["solve-sequence"].version


def test_lists_and_words(tmp_path: Path) -> None:
    for name in ("a.mtz", "b.cif.gz", "b.pdb", "seq.fasta"):
        (tmp_path / name).write_text("x")
    path = tmp_path / "list.tsv"
    path.write_text("data\tsequence\ttruth\ncopies\n".replace("\ncopies", "\tcopies")
                    + "a.mtz\tGG\t\t2\nb.cif.gz\tseq.fasta\tb.pdb\t\n")  # fmt: skip
    one, two = read_peer_list(path)
    assert (one.name, one.truth, one.sequence, one.copies) == ("a", None, "GG", 2)
    assert (two.name, two.truth, two.copies) == ("b", tmp_path / "b.pdb", None)
    assert two.sequence == str(tmp_path / "seq.fasta")
    words = from_words([str(tmp_path / "a.mtz"), "-", "GG"])
    assert (words.name, words.truth, words.sequence) == ("a", None, "GG")
    path.write_text("data\ttruth\nabsent.mtz\t\n")
    with pytest.raises(InputError, match="no such file"):
        read_peer_list(path)
    path.write_text("file\ttruth\n")
    with pytest.raises(InputError, match="columns file, truth; expected data"):
        read_peer_list(path)


def test_plain_charge_flipping_solves_a_measured_crystal() -> None:
    found = run_one(SNQNNF, known_programs()["plain-E"], 0, 20.0)
    assert found.status == "done", found.message
    assert found.claimed
    assert found.solved
    assert found.figures["skewness"] > 1.3 * found.figures["skewness_random"]


def test_the_command_compares_on_simulated_crystals(
    fifteens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = [
        "benchmark", "peers", "--simulated", "1", "--data", str(fifteens), "--conditions",
        "2-tight-1.0A", "--programs", "plain-E,cctbx", "--cctbx-python", str(tmp_path / "none"),
        "--seeds", "1", "--time-limit", "2", "-o", str(out), "--json",
    ]  # fmt: skip
    assert main(argv) == 0
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert "cctbx is skipped" in captured.err
    assert content["left_to_do"] == 0
    (summary,) = content["summaries"]
    assert (summary["crystal"], summary["program"], summary["n"]) == (
        "2-tight-1.0A-0",
        "plain-E",
        1,
    )
    assert (out / "simulated" / "2-tight-1.0A-0-truth.mtz").exists()
    assert main([*argv, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == content["runs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no crystal"),
        (["--crystal", "absent.mtz"], "absent.mtz: no such file"),
        (["--simulated", "1"], "--simulated needs --data"),
        (["--programs", "shelxt"], "--programs shelxt: expected some of solve"),
        (["--against", "nowhere"], "--against nowhere: expected a Python interpreter"),
        (["--time-limit", "0"], "expected seconds above zero"),
    ],
)
def test_bad_requests(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["benchmark", "peers", "-o", str(out), *options]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_the_solver_is_run_from_process_start_to_verdict() -> None:
    found = run_one(CRYSTAL, Solve("solve-sequence", True), 0, 30.0)
    assert found.status == "done", found.message
    assert found.claimed
    assert found.solved
    assert found.cpu_seconds > 0.5


@pytest.mark.peers
def test_charge_flipping_of_cctbx() -> None:
    program = known_programs(cctbx_python=os.environ["CRYSFORMER_CCTBX_PYTHON"])["cctbx"]
    assert not program.unavailable()
    assert program.version.startswith("cctbx 20")
    found = run_one(SNQNNF, program, 1, 20.0)
    assert found.status == "done", found.message
    assert found.solved
    unsolvable = run_one(CRYSTAL, program, 0, 1.0)  # at 1.5 A; more than two starts
    assert unsolvable.status == "done", unsolvable.message
