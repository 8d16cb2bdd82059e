"""The frame of the command line: help, exit codes, one-line errors."""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import crysformer
from crysformer import cli
from crysformer.cli import SPIN_COUNT, main
from crysformer.cli._common import emit, with_flags
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.signals import Terminated

HEAVY = ("torch", "gemmi", "numpy", "scipy", "matplotlib", "rich")


def in_subprocess(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def fake_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., int]], None]:
    """Put a command named ``fake`` into the table that runs the given function."""

    def install(run: Callable[..., int]) -> None:
        module = types.ModuleType("fake_command", "A command for tests.")
        module.configure = lambda parser: parser.add_argument("--number", type=int)  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(cli.COMMANDS, "fake", ("fake_command", "for tests"))

    return install


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(argv: list[str]) -> None:
    done = in_subprocess(
        f"import sys; from crysformer.cli import main; status = main({argv!r});"
        f"print([m for m in {HEAVY!r} if m in sys.modules]); sys.exit(status)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "crysformer" in done.stdout


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_help_of_each_command_imports_nothing_heavy(command: str) -> None:
    done = in_subprocess(
        f"import sys; from crysformer.cli import main; status = main([{command!r}, '--help']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules]); sys.exit(status)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert f"usage: crysformer {command}" in done.stdout


def test_importing_the_package_is_light_and_lists_its_api() -> None:
    done = in_subprocess(
        f"import sys, crysformer; print([m for m in {HEAVY!r} if m in sys.modules]); "
        "print(sorted(crysformer.__all__))"
    )
    assert done.stdout.splitlines() == ["[]", str(sorted(crysformer.__all__))]


@pytest.mark.parametrize("user", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_waiting_threads_sleep_unless_the_user_decides(
    user: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that what `main` sets is undone
        monkeypatch.delenv(name)
    for name, value in user.items():
        monkeypatch.setenv(name, value)
    assert main(["--version"]) == 0
    expected = user or {"GOMP_SPINCOUNT": SPIN_COUNT}
    assert {name: os.environ[name] for name in expected} == expected
    assert ("GOMP_SPINCOUNT" in os.environ) == ("GOMP_SPINCOUNT" in expected)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, (_, summary) in cli.COMMANDS.items():
        assert any(line.split()[:1] == [name] and summary in line for line in listed.splitlines())


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["--nonsense"], ["info", "--nonsense"], ["info", "-q", "-v"], ["solve"]]
)
def test_usage_errors_are_one_line_and_exit_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "error:" in captured.err


def test_no_command_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (InputError("a.mtz: empty file"), 1, "a.mtz: empty file"),
        (CrysformerError("failed"), 1, "failed"),
        (UsageError("--a contradicts --b"), 2, "--a contradicts --b"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated("out: kept"), 143, "interrupted; out: kept"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: tried"), 1, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "x.map"), 1, "x.map: No space left"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: No space left"),
        (ZeroDivisionError("two\nlines"), 1, "internal error at test_main.py:"),
    ],
)
def test_each_failure_is_one_line(
    error: BaseException,
    status: int,
    expected: str,
    fake_command: Callable[[Callable[..., int]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch  # noqa: F401  (its allocation failures are recognised once it is loaded)

    fake_command(raising(error))
    assert cli.main(["fake"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("crysformer: error: ")
    assert expected in captured.err


def test_verbose_shows_the_traceback(
    fake_command: Callable[[Callable[..., int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_command(raising(InputError("a.mtz: empty file")))
    assert cli.main(["fake", "-v"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "crysformer: error: a.mtz: empty file"


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ([], ["progress", "warning: odd"]),
        (["-q"], ["warning: odd"]),
        (["-v"], ["detail", "progress", "warning: odd"]),
    ],
)
def test_log_goes_to_stderr_by_volume(
    options: list[str],
    seen: list[str],
    fake_command: Callable[[Callable[..., int]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(args: argparse.Namespace) -> int:
        cli.log.debug("detail")
        cli.log.info("progress")
        cli.log.warning("odd")
        return 0

    fake_command(run)
    assert cli.main(["fake", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == seen
    assert captured.out == ""


@pytest.mark.parametrize("wrong", ["-1", "1.5", "one", str(2**63)])
@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["solve", "a.mtz", "-o", "out"],
        ["evaluate", "--data", "set", "--method", "random", "-o", "out"],
        ["dataset", "build", "a.pdb", "--recipe", "dipeptide", "-o", "out"],
    ],
)
def test_seeds_are_whole_numbers_from_zero(
    command: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--seed", wrong]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"--seed: expected a whole number from 0, below 2^63, found {wrong!r}" in error


def test_evaluate_says_what_weights_and_alone_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--weights", "w.safetensors", "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert "--data DIR --method network-one-pass" in error
    assert "missing --data and --method" in error
    random = ["evaluate", "--data", "set", "--method", "random", "--alone", "-o", "out"]
    assert cli.main(random) == 2
    assert "--alone: random is measured alone anyway" in capsys.readouterr().err


def test_names_offered_are_those_of_the_layers_below() -> None:
    from crysformer.cli import dataset, evaluate, solve
    from crysformer.data.dataset.export import FORMATS
    from crysformer.data.dataset.shard_formats import SHARD_FORMATS
    from crysformer.data.recipe import RECIPES
    from crysformer.evaluation import methods
    from crysformer.phasing import method

    assert solve.METHODS is method.METHODS
    assert set(evaluate.METHODS) == set(methods.METHODS)
    assert set(dataset.RECIPE_NAMES) == set(RECIPES)
    assert set(dataset.FORMATS) == {*FORMATS, *SHARD_FORMATS}
    assert set(dataset.SHARDED) == set(SHARD_FORMATS)


def test_parameter_names_become_the_options_of_the_command(
    fake_command: Callable[[Callable[..., int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        cli.log.warning("more than `number`, or `other`")
        emit(args, {"note": "`number` N to change"}, "`number` N to change")
        raise UsageError("`number` is 0, `n` is 1")

    fake_command(run)
    assert cli.main(["fake"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "--number N to change\n"
    assert captured.err.splitlines() == [
        "warning: more than --number, or `other`",
        "crysformer: error: --number is 0, `n` is 1",
    ]
    assert cli.main(["fake", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"note": "--number N to change"}


@pytest.mark.parametrize(
    ("argv", "text", "expected"),
    [
        (["solve", "a.mtz", "-o", "x"], "`time_limit` is 0", "--time-limit is 0"),
        (
            ["solve", "a.mtz", "-o", "x"],
            "`data`: choose `labin` F,SIGF",
            "DATA: choose --labin F,SIGF",
        ),
        (["train", "--preset", "fifteen", "--data", "x", "-o", "y"], "`data`", "--data"),
        (["dataset", "export", "x", "--format", "pt"], "`format` pt", "--format pt"),
        (["dataset", "export", "x", "--format", "pt"], "`recipe`, `strict`", "`recipe`, `strict`"),
        (["benchmark", "control"], "`n`: 3 fragments", "-n: 3 fragments"),
        (["benchmark", "reliability", "x"], "`n`: 3 fragments", "`n`: 3 fragments"),
    ],
)
def test_options_are_those_of_the_innermost_command(
    argv: list[str], text: str, expected: str
) -> None:
    args = cli.command_parser(argv[0]).parse_args(argv[1:])
    assert with_flags(text, args) == expected


def test_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m crysformer --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "141"}


def test_broken_pipe_has_the_shells_exit_code(
    fake_command: Callable[[Callable[..., int]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # main() replaces it; put it back afterwards
    fake_command(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert cli.main(["fake"]) == 141
    assert capsys.readouterr().err == ""


def test_info_reports_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    assert cli.main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["crysformer"] == crysformer.__version__
    version = info["packages"]["torch"]  # without the local label of some builds, as +cu128
    assert torch.__version__.partition("+")[0] == version.partition("+")[0]
    assert info["devices"][0]["device"] == "cpu"
    assert len(info["devices"]) == 1 + torch.cuda.device_count() + torch.backends.mps.is_available()
    assert set(info["programs"]) == {
        "servalcat", "gemmi", "coot", "phenix.autobuild", "shelxe", "modelcraft",
    }  # fmt: skip
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"torch {version}" in text
    for weights in info["weights"]:
        assert weights["sha256"] in text


def test_unknown_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = crysformer.nonsense


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_option_is_in_the_written_reference(command: str) -> None:
    reference = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    parsers = [cli.command_parser(command)]
    while parsers:
        parser = parsers.pop()
        section = reference.split(f"\n## {parser.prog}\n", 1)[1].split("\n## ", 1)[0]
        for action in parser._actions:
            if action.help is not argparse.SUPPRESS:
                assert all(option in section for option in action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
