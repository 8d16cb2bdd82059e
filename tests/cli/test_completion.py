"""Scripts for completion in a shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from crysformer.cli import COMMANDS, main
from crysformer.cli._completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_name_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert name in script
    assert "no-build" in script  # an option of solve, dashes in front as each shell wants them


def test_bash_completes_commands_actions_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    assert main(["--completion", "bash"]) == 0
    script = capsys.readouterr().out

    def completed(*words: str) -> list[str]:
        listed = " ".join(f"'{word}'" for word in words)
        program = (
            f"{script}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}\n"
            "_shtab_crysformer 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run([bash, "-c", program], capture_output=True, text=True, check=False)
        return done.stdout.split()

    assert "solve" in completed("crysformer", "sol")
    assert "--sequence" in completed("crysformer", "solve", "--seq")
    assert "fetch" in completed("crysformer", "dataset", "fet")


def test_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", "csh"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "csh" in message
