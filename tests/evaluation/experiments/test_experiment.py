"""Experiments: rows trained under one budget, interrupted, continued, and written as tables."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.cli.experiment import EXPERIMENTS as OPTIONS
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.evaluation.experiments import run as runs
from crysformer.evaluation.experiments.rows import EXPERIMENTS, PUBLISHED, Row, rows_of
from crysformer.evaluation.experiments.run import (
    PHASING,
    check_budget,
    phasing_seconds,
    run_experiment,
)
from crysformer.evaluation.experiments.setting import start_afresh
from crysformer.evaluation.experiments.train_row import RESULT, Budget, result_of, row_config
from crysformer.models.refining import refining_config
from crysformer.models.unet import UNetConfig
from crysformer.testing import conformer_pairs, write_data_set
from crysformer.training.checkpoint import load_checkpoint

SMALL = (
    "model.width=24", "model.depth=1", "model.heads=2", "model.head_width=12",
    "model.feedforward=32", "model.partial_patch=12", "model.channels=2",
    "model.partial_channels=1", "model.kernel=3", "model.final_channels=2",
    "model.final_blocks=1", "model.final_kernel=3", "model.sample_rate=2.0", "batch_size=4",
)  # fmt: skip
ROWS = (
    Row("plain", "Plain", "dipeptide", SMALL),
    Row("plain-r", "Plain+R", "dipeptide", SMALL, refines="plain"),
    Row("wrong", "Plain, wrong residues", tests="plain", wrong_residues=True),
)
BUDGET = Budget(examples=16, test_limit=4, validation_examples=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"), "dipeptide", conformer_pairs())


def run(  # type: ignore[no-untyped-def]
    folder: Path,
    data: Path,
    budget: Budget = BUDGET,
    pieces: int | None = None,
    only: Sequence[str] = (),
):
    folder.mkdir(exist_ok=True)
    return run_experiment(
        "table1", data, folder, budget, lambda text: None, ROWS, ("random",), pieces, only
    )


def test_rows_are_trained_in_pieces_and_tabulated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in this process: what a process of its own adds is tested below
    from crysformer.files import write_json

    def here(row: Row, rows: Path, data: Path, budget: Budget) -> None:
        write_json(rows / row.name / RESULT, result_of(row, rows, data, budget))

    monkeypatch.setattr(runs, "run_row", here)
    folder = tmp_path / "out"
    assert run(folder, data, pieces=1) is None
    so_far = json.loads((folder / "table1.json").read_text())
    assert [row["name"] for row in so_far["rows"]] == ["plain"]
    assert so_far["phasing"] == []
    first = (folder / "rows" / "plain" / RESULT).stat().st_mtime_ns
    assert run(folder, data, only=["random", "wrong"]) is None
    so_far = json.loads((folder / "table1.json").read_text())
    assert [row["name"] for row in so_far["rows"]] == ["plain", "wrong"]
    assert [metrics["method"] for metrics in so_far["phasing"]] == ["random"]
    table = run(folder, data)
    assert (folder / "rows" / "plain" / RESULT).stat().st_mtime_ns == first
    assert json.loads(json.dumps(table)) == json.loads((folder / "table1.json").read_text())
    plain, refined, wrong = table["rows"]
    assert plain["examples"] == refined["examples"] == 16
    assert plain["parameters"] < refined["parameters"] < 1.01 * plain["parameters"] + 1000
    assert [point["examples"] for point in plain["validation"]] == [4, 8, 12, 16]
    assert len(refined["pc_of_cycles"]) == 5
    assert refined["pc_of_cycles"][0] == pytest.approx(plain["pc"], abs=1e-6)
    assert refined["pc_of_cycles"][1] == pytest.approx(refined["pc"], abs=1e-6)
    assert wrong["pc"] != plain["pc"]
    assert table["phasing"][0]["method"] == "random"
    assert table["paper"]["crysformer"]["pc"] == 0.939
    text = (folder / "table1.md").read_text()
    for part in ("| Plain+R |", "random, no training", "| unet-r | 0.775 | 58.67 | 90 | 29.06 |"):
        assert part in text
    with pytest.raises(InputError, match="begun with examples = 16, now 32"):
        run(folder, data, Budget(examples=32, test_limit=4, validation_examples=4))
    start_afresh(folder)
    assert not (folder / "rows").exists()


@pytest.mark.slow
def test_a_row_has_a_process_of_its_own(data: Path, tmp_path: Path) -> None:
    rows = (ROWS[0],)
    folder = tmp_path / "out"
    folder.mkdir()
    table = run_experiment("table1", data, folder, BUDGET, print, rows, ())
    assert table is not None
    assert table["rows"][0]["peak_memory"] > 1e8
    bad = (Row("bad", "Bad", "dipeptide", (*SMALL, "model.n_residues=3")),)
    with pytest.raises(CrysformerError, match="Bad: "):
        run_experiment("nystrom", data, tmp_path, BUDGET, print, bad, ())


SCRIPT = """
import sys
from pathlib import Path
from crysformer.evaluation.experiments.rows import Row
from crysformer.evaluation.experiments.run import run_experiment
from crysformer.evaluation.experiments.train_row import Budget
from crysformer.signals import sigterm_as_exception
if __name__ == "__main__":
    rows = (Row("plain", "Plain", "dipeptide", tuple(sys.argv[3:])),)
    budget = Budget(examples=10**7, test_limit=4, validation_examples=4)
    with sigterm_as_exception():
        run_experiment("table1", sys.argv[1], Path(sys.argv[2]), budget, print, rows, ())
"""


@pytest.mark.slow
def test_a_row_that_is_stopped_keeps_its_state(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(data), str(tmp_path / "out"), *SMALL]
    history = tmp_path / "out" / "rows" / "plain" / "checkpoint.pt"
    process = subprocess.Popen([*command, "write_every=0"], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not history.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    worker = [int(x) for x in children(process.pid)]
    assert worker
    process.terminate()
    begin = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert time.monotonic() - begin < 25
    until = time.monotonic() + 10  # multiprocessing's own helper ends a little later
    while (left := [p for p in worker if alive(p)]) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left
    assert load_checkpoint(history)["examples"] > 0


def alive(pid: int) -> bool:
    """Check that a process runs, on Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[str]:
    """Processes that a process has started, on Linux."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    if not tasks.is_file():
        pytest.skip("the system does not list the children of a process")
    return tasks.read_text().split()


def test_every_row_has_a_configuration_and_what_it_needs() -> None:
    assert (*EXPERIMENTS, "figures", "building") == OPTIONS
    for name, rows in EXPERIMENTS.items():
        before: set[str] = set()
        for row in rows:
            assert {row.refines, row.tests} <= {"", *before}
            config = row_config(row, Budget(minutes=20.0))
            assert config.schedule == "time"
            if row.refines:
                refining_config(config.model)
            before.add(row.name)
        assert set(PUBLISHED.get(name, {})) <= before
    exact = row_config(rows_of("nystrom")[2], Budget(examples=100))
    assert exact.model.landmarks is None  # type: ignore[attr-defined]
    assert (exact.examples, exact.validate_every) == (100, 12)
    assert exact.warmup == 10 * exact.batch_size  # a tenth of the examples would be few steps
    assert isinstance(row_config(rows_of("table1")[0], Budget(minutes=1)).model, UNetConfig)
    short, long = (row_config(rows_of("table1")[4], Budget(minutes=m)) for m in (1, 20))
    assert (short.warmup, long.warmup) == (100, 400)  # a minute is about 300 examples of a core
    assert (short.validation_examples, long.validation_examples) == (4, 64)
    with pytest.raises(UsageError, match="unknown experiment"):
        rows_of("table2")


def test_phasing_methods_keep_to_the_budget_of_the_rows() -> None:
    assert phasing_seconds(Budget(examples=10)) == phasing_seconds(Budget(minutes=20)) == 20
    short = Budget(minutes=1)
    assert phasing_seconds(short) * short.test_limit == pytest.approx(180, abs=1)
    # all of `--budget 1`: seven rows, two methods, and a quarter of the time for what is beside
    worst = len(EXPERIMENTS["table1"]) * 1 + len(PHASING) * 3
    assert worst <= 0.75 * 20


@pytest.mark.parametrize(
    "budget", [Budget(), Budget(minutes=1, examples=1), Budget(minutes=0), Budget(examples=-1)]
)
def test_budgets_that_train_nothing(budget: Budget) -> None:
    with pytest.raises(UsageError, match="either minutes"):
        check_budget(budget)


def test_processor_time_is_measured_on_a_cpu() -> None:
    check_budget(Budget(minutes=1, processor_time=True))
    with pytest.raises(UsageError, match="on the CPU, not on cuda"):
        check_budget(Budget(minutes=1, device="cuda", processor_time=True))


def test_chosen_rows_exist_and_have_what_they_need(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no row 'plane' in this experiment; expected plain, pl"):
        run(tmp_path, data, only=["plain", "plane"])
    with pytest.raises(UsageError, match="row plain-r needs row plain, which is missing"):
        run(tmp_path, data, only=["plain-r", "random"])
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_a_folder_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.txt").write_text("")
    command = ["experiment", "table1", "--data", "none", "--examples", "1", "-o", str(tmp_path)]
    assert main(command) == 2
    assert "not empty" in capsys.readouterr().err
