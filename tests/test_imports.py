"""The package at run time: what an import loads, and whose words its messages use."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import crysformer

PACKAGE = Path(crysformer.__file__).parent


def test_the_solver_loads_no_data_sets() -> None:
    """`make lint` checks the import statements; this checks what is loaded in the end."""
    code = "import sys, crysformer.phasing.solver; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "crysformer.phasing.solver" in loaded
    for unwanted in ("crysformer.data.dataset", "crysformer.training", "pyarrow", "matplotlib"):
        assert unwanted not in loaded


def test_a_report_on_data_loads_no_torch() -> None:
    """Loading it takes longer than the report."""
    sample = Path(__file__).parent / "samples" / "2ol9.mtz.gz"
    code = (
        "import sys; from crysformer.cli import main; "
        f"status = main(['info', {str(sample)!r}, '--sequence', 'SNQNNF']); "
        "print('torch' in sys.modules); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Wilson" in done.stdout
    assert done.stdout.split()[-1] == "False"


def test_library_code_names_no_options_of_the_command_line() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        # servalcat and modelcraft have options of their own
        if path.parent.name == "cli" or path.name in ("servalcat.py", "modelcraft.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += [f"{path}: {flag}" for flag in re.findall(r"--[a-z][a-z-]*", node.value)]
    assert found == []
