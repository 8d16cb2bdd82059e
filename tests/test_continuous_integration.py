"""Agreement of the continuous integration with what pyproject.toml declares."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import crysformer

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("all", "docs", "lowest", "pythons", "run", "wheel")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = (ROOT / ".github" / "workflows" / "tests.yml").read_text()


@pytest.fixture(scope="module")
def generator(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script(".ci/lowest_constraints.py")


def test_lowest_constraints_are_those_of_pyproject(generator: ModuleType) -> None:
    made = generator.content((ROOT / "pyproject.toml").read_text())
    assert (ROOT / "constraints-lowest.txt").read_text() == made
    for requirement in PROJECT["dependencies"]:
        assert requirement.replace(">=", "==") in made.splitlines()


@pytest.mark.parametrize("requirement", ["numpy", "numpy==2.0", "numpy>=2,<3", "numpy>2"])
def test_requirements_without_a_lowest_version(generator: ModuleType, requirement: str) -> None:
    with pytest.raises(ValueError, match="expected NAME>=VERSION"):
        generator.lowest([requirement])


def test_newest_constraints_satisfy_pyproject() -> None:
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for requirement in declared:
        name, lowest = requirement.split(">=")
        found = [int(x) for x in re.findall(r"\d+", pinned[name])]
        assert found >= [int(x) for x in re.findall(r"\d+", lowest)], requirement


def test_workflow_covers_the_declared_pythons() -> None:
    first = int(re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1])  # type: ignore[index]
    listed = re.search(r"python-version: \[(.*)\]", WORKFLOW)
    assert listed is not None
    versions = re.findall(r"3\.(\d+)", listed[1])
    assert versions == [str(first + i) for i in range(len(versions))]
    assert " ".join(f"3.{v}" for v in versions) in (ROOT / ".ci" / "pythons").read_text()


def test_workflow_runs_the_scripts() -> None:
    for command in ("make lint", ".ci/pythons", ".ci/lowest", ".ci/docs", ".ci/wheel"):
        assert f"run: {command}" in WORKFLOW
        assert command in (ROOT / ".ci" / "all").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_executable_and_parse(name: str) -> None:
    path = ROOT / ".ci" / name
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_a_python_that_is_not_installed_is_named() -> None:
    done = subprocess.run(
        [str(ROOT / ".ci" / "pythons"), "3.99"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "python3.99 is not installed: not tested" in done.stderr


def test_the_published_description_has_no_relative_link(
    load_script: Callable[[str], ModuleType],
) -> None:
    links, address = load_script(".ci/absolute_links.py"), "https://example.org/crysformer"
    published = links.with_absolute_links((ROOT / "README.md").read_text(), address)
    targets = re.findall(r"\]\(([^)]+)\)", published)
    assert targets
    assert all(target.startswith("https://") for target in targets)
    assert f"]({address}/raw/main/docs/images/" in published
    changed = links.with_addresses((ROOT / "pyproject.toml").read_text(), address)
    assert tomllib.loads(changed)["project"]["urls"]["Source"] == address


@pytest.mark.parametrize("name", ["environment.yml", "conda/meta.yaml"])
def test_conda_files_have_the_declared_dependencies(name: str) -> None:
    """Under the names that conda-forge gives them."""
    renamed = {"torch": ("pytorch", "pytorch-cpu"), "matplotlib": ("matplotlib-base",)}
    found = dict(re.findall(r"- ([\w-]+) ?>=([\d.]+)", (ROOT / name).read_text()))
    for requirement in PROJECT["dependencies"]:
        package, lowest = requirement.split(">=")
        assert lowest in [found.get(x) for x in renamed.get(package, (package,))], requirement


def test_conda_recipe_has_the_version() -> None:
    version = re.search(r'version = "(.*)"', (ROOT / "conda" / "meta.yaml").read_text())
    assert version is not None
    assert version[1] == crysformer.__version__
