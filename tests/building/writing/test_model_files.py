"""All files of a model together, and the script for Coot run with a stand-in."""

from __future__ import annotations

import os
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import gemmi
import pytest

from crysformer.building.writing.model_files import MODEL_FILES, write_model_files
from crysformer.errors import CrysformerError


class Coot(ModuleType):
    """Records the calls of a script."""

    def __init__(self) -> None:
        super().__init__("coot")
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def handle_read_draw_molecule_with_recentre(self, *args: object) -> None:
        self.calls.append(("model", args))

    def make_and_draw_map(self, *args: object) -> None:
        self.calls.append(("map", args))


def test_files_and_script(
    finished_2ol9: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    written = write_model_files(folder, finished_2ol9, ["SNQNNF"])
    assert set(written) == set(MODEL_FILES)
    assert {path.name for path in folder.iterdir()} == set(written)
    moved = tmp_path / "moved"
    folder.rename(moved)
    coot = Coot()
    monkeypatch.setitem(sys.modules, "coot", coot)
    runpy.run_path(str(moved / "open.py"))
    model, density, difference = coot.calls
    assert model == ("model", (str(moved / "model.cif"), 1))
    mtz = gemmi.read_mtz_file(str(moved / "solution.mtz"))
    for kind, args, is_difference in ((*density, 0), (*difference, 1)):
        assert kind == "map"
        assert args[0] == str(moved / "solution.mtz")
        assert {mtz.column_with_label(args[1]).type, mtz.column_with_label(args[2]).type} == {
            "F", "P",
        }  # fmt: skip
        assert args[3:] == ("", 0, is_difference)
    # versions of Coot that run a script without __file__ name it on the command line
    coot.calls.clear()
    monkeypatch.setattr(sys, "argv", ["coot", "--script", str(moved / "open.py")])
    exec(compile((moved / "open.py").read_text(), "script", "exec"), {"__name__": "__main__"})
    assert coot.calls[0] == model


def test_no_shelxl_files_below_atomic_resolution(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    keep = finished_2ol9.data.d > 1.3
    data = replace(finished_2ol9.data.select(keep))
    coefficients = SimpleNamespace(
        **{name: values[keep] for name, values in vars(finished_2ol9.coefficients).items()
           if hasattr(values, "shape")}
    )  # fmt: skip
    free = replace(
        finished_2ol9.free, free=finished_2ol9.free.free[keep], flags=finished_2ol9.free.flags[keep]
    )
    scaled = replace(finished_2ol9.scaled, F_model=finished_2ol9.scaled.F_model[keep])
    model = SimpleNamespace(
        **{**vars(finished_2ol9), "data": data, "coefficients": coefficients, "free": free,
           "scaled": scaled}
    )  # fmt: skip
    assert "model.ins" not in write_model_files(tmp_path, model)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CrysformerError, match="cannot be written"):
        write_model_files(tmp_path, finished_2ol9)
