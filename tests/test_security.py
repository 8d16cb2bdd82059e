"""The claims of SECURITY.md: their tests exist, and no code runs what it reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "crysformer"
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
#: Modules that run code found in data.
UNSAFE = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "runpy",
    "code",
}
#: Packages that may start other programs.
STARTS_PROGRAMS = {"evaluation", "building", "processes.py"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_every_row_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", SECURITY))
    assert len(named) > 10
    assert {name for name in named if not (ROOT / name).is_file()} == set()
    rows = [line for line in SECURITY.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "`tests/" not in row] == []


def test_nothing_that_is_read_is_executed() -> None:
    for path, tree in modules():
        assert not imported(tree) & UNSAFE, path
        for name, call in calls(tree):
            assert name not in ("eval", "exec", "compile", "os.system", "os.popen"), path
            keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", path
            if name in ("np.load", "numpy.load"):
                assert keywords.get("allow_pickle", "False") == "False", path


def test_few_packages_start_other_programs() -> None:
    starting = {path.parts[0] for path, tree in modules() if "subprocess" in imported(tree)}
    assert starting <= STARTS_PROGRAMS


@pytest.mark.parametrize("member", ["extractall", "extract"])
def test_archives_are_never_extracted(member: str) -> None:
    for path, tree in modules():
        assert not [name for name, _ in calls(tree) if name.endswith(f".{member}")], path
