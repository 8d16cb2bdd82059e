"""The snippet of the data card runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crysformer.data import FragmentStore

CARD = Path(__file__).parents[3] / "docs" / "data.md"


def test_snippet_reads_a_fragment(
    dipeptides: FragmentStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", CARD.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in snippet.splitlines() if line]) <= 10
    (tmp_path / "data").symlink_to(dipeptides.folder)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    lines = capsys.readouterr().out.splitlines()
    table = dipeptides.table("test")
    assert lines[0].startswith(f"{table.id[0]} {table.sequence[0]} cell")
    assert [line.split()[0] for line in lines[1:]] == table.atom_names(0)
