"""Structure files that are made to harm, or damaged: nothing outside the folder, no bad numbers."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import gemmi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data.dataset import sources
from crysformer.data.dataset.build import build
from crysformer.data.dataset.check import check
from crysformer.data.dataset.export import export, file_name
from crysformer.data.dataset.sources import read_sources
from crysformer.data.store import FRAGMENTS, FragmentStore
from crysformer.errors import InputError
from crysformer.testing import conformer_pairs, sound_chain, write_data_set


def test_names_of_chains_stay_inside_the_folder(tmp_path: Path) -> None:
    names = [
        "1abc_../../x_0",
        "1abc_/etc/x_0",
        "1abc_a%2Fb_0",
        "1abc_a/b_0",
        "1abc_\n_0",
        "1abc_A_0",
    ]
    assert len({file_name(name) for name in names}) == len(names)
    for name in names:
        assert file_name(name).isascii()
        assert not set(file_name(name)) & set("/\\\n")
    assert file_name("1abc_A_0") == "1abc_A_0"
    (tmp_path / "data").mkdir()
    rows = [{**row, "id": f"../../{row['id']}"} for row in conformer_pairs()[:5]]
    folder = write_data_set(tmp_path / "data", "dipeptide", rows)
    for format in ("mtz", "ccp4", "pdb", "pt"):
        out = tmp_path / "deep" / "deeper" / format
        export(folder, out, format, split="train", limit=1)
        assert any(out.iterdir())
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside == {"data", "deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"deeper"}


def test_unpacked_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_STRUCTURE", 100_000)
    zeros = bytes(2_000_000)
    (tmp_path / "bomb.pdb.gz").write_bytes(gzip.compress(zeros))
    with tarfile.open(tmp_path / "bomb.tar.xz", "w:xz") as archive:
        for name, content in (
            ("plain.pdb", zeros), ("packed.pdb.gz", gzip.compress(zeros)), ("small.pdb", b"END\n")
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for path, refused in ((tmp_path / "bomb.pdb.gz", [True]),
                          (tmp_path / "bomb.tar.xz", [True, True, False])):  # fmt: skip
        found = list(read_sources([path]))
        assert [file.content is None for file in found] == refused
        assert all("too large" in file.error for file in found if file.content is None)


@pytest.mark.parametrize("place", [(400.0, 0.0, 0.0), (float("nan"), 0.0, 0.0), (0.0, 1e30, 0.0)])
def test_impossible_coordinates_are_left_out(
    place: tuple[float, float, float], tmp_path: Path
) -> None:
    structure = sound_chain()
    for i in (10, 11, 30):
        atom = structure[0][0][i][-1]
        atom.pos = gemmi.Position(*place)
    document = structure.make_mmcif_document()
    document.write_file(str(tmp_path / "1shg_A.cif"))
    manifest = build([tmp_path / "1shg_A.cif"], tmp_path / "out", "dipeptide")
    assert manifest.discards["residue_impossible_coordinates"] == 3
    assert check(tmp_path / "out") == []


def test_wrong_rows_are_refused_before_use(tmp_path: Path) -> None:
    write_data_set(tmp_path, "dipeptide", conformer_pairs())
    table = pq.read_table(tmp_path / FRAGMENTS)
    for name, value, message in (
        ("cell", [1e9, 8.0, 7.0], "cell edge"),
        ("cell", [float("nan"), 8.0, 7.0], "cell edge"),
        ("sequence", "GX", "letters"),
        ("sequence", "GGG", "letters"),
        ("sequence", "WW", "number of atoms"),
    ):
        rows = [value, *table[name].to_pylist()[1:]]
        i = table.column_names.index(name)
        changed = table.set_column(i, table.field(name), pa.array(rows, table.field(name).type))
        pq.write_table(changed, tmp_path / FRAGMENTS)
        with pytest.raises(InputError, match=message):
            FragmentStore.open(tmp_path).table("train")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_ended_build_leaves_no_process_and_resumes(
    structures: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    build([structures], tmp_path / "whole", "dipeptide")
    command = [
        sys.executable, "-m", "crysformer", "dataset", "build", str(structures), "-o", str(out),
        "--recipe", "dipeptide", "--jobs", "2", "-q",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # where the tests run in the background of a shell it is ignored, and that is inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (out / ".parts").is_dir() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(4.0)
    if process.poll() is not None:
        pytest.skip("the build was faster than the signal")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert "pass --resume to go on" in error
    until = time.monotonic() + 20
    while _living(process.pid) and time.monotonic() < until:
        time.sleep(0.2)
    assert not _living(process.pid)
    manifest = build([structures], out, "dipeptide", resume=True)
    assert manifest.hashes == FragmentStore.open(tmp_path / "whole").manifest["hashes"]
    assert not [path for path in out.rglob("*") if "partial" in path.name]


def _living(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pid,sess,stat"], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    return [int(pid) for pid, sess, stat in rows if int(sess) == session and stat[0] != "Z"]
