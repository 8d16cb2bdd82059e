"""Figures 2 to 9: files, captions, and continuation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from crysformer.cli import main
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.reflections import CrystalData
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation import methods
from crysformer.evaluation.experiments.curves import Curve, curves_of
from crysformer.evaluation.methods import Phasing, Settings
from crysformer.report.paper_figures import draw_figures
from crysformer.testing import conformer_pairs, write_data_set

CURVES = (Curve("a network", "network-one-pass"), Curve("random", "random"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [row for row in conformer_pairs() if row["split"] == "test"]
    return write_data_set(tmp_path_factory.mktemp("data"), "dipeptide", rows)


@pytest.fixture
def network(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose maps are the truth and noise, more of it from crystal to crystal."""
    store = FragmentStore.open(data)
    table = store.table("test")
    crystals = [synthetic_crystal(table, i, store.recipe) for i in range(len(table))]
    place = {crystal.id: i for i, crystal in enumerate(crystals)}

    def one(crystal: CrystalData, sequence: str, settings: Settings) -> Phasing:
        number = place[crystal.source]
        true, rng = crystals[number].density, np.random.default_rng(number)
        noise = rng.normal(0, (0.1 + 0.4 * number) * true.values.std(), true.shape)
        density = DensityMap((true.values + noise).astype(np.float32), true.cell, true.space_group)
        return Phasing(crystals[number].phi_true, 0.1, density)

    def several(crystals: Sequence[tuple[CrystalData, str]], settings: Settings) -> list[Phasing]:
        return [one(*crystal, settings) for crystal in crystals]

    monkeypatch.setitem(methods.METHODS, "network-one-pass", one)
    monkeypatch.setitem(methods.BATCHED, "network-one-pass", several)


def test_figures_are_drawn_named_and_continued(
    data: Path, tmp_path: Path, network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr("crysformer.report.isosurfaces._DPI", 50)
    said: list[str] = []

    def run(kinds: Sequence[str] = ("1", "90%", "trp", "31")) -> dict[str, object]:
        return draw_figures(data, tmp_path, CURVES, Settings(), said.append, limit=5, kinds=kinds)

    result = run()
    names = [f"figure-{i}.png" for i in (2, 3, 4)]  # no tryptophan, and no rank 31
    assert [figure["file"] for figure in result["figures"]] == names
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    best, worst = result["figures"][1:]
    assert (best["rank"], worst["rank"], worst["of"]) == (1, 5, 5)
    assert best["pc"] > worst["pc"] + 0.1
    assert f"rank 1 of 5 by PC: PC {best['pc']:.3f}" in best["caption"]
    assert best["id"] in best["caption"]
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert set(stored["methods"]) == {"a network", "random"}
    assert {"version", "date", "hardware", "seed", "data"} <= set(stored)
    text = (tmp_path / "figures.md").read_text()
    assert "**Figure 4.**" in text
    assert "| random |" in text
    # what is missing is drawn again, the rest stays
    kept = (tmp_path / names[1]).stat().st_mtime_ns
    (tmp_path / names[2]).unlink()
    measured = len(said)
    assert run()["figures"] == result["figures"]
    assert (tmp_path / names[2]).exists()
    assert (tmp_path / names[1]).stat().st_mtime_ns == kept
    assert not any("crystals" in text for text in said[measured:])
    with pytest.raises(InputError, match="begun with cases"):
        run(("1",))


def test_curves_of_weights(tmp_path: Path) -> None:
    names = [curve.name for curve in curves_of([])]
    assert names == ["network, one pass", "network, recycled", "charge flipping", "solve"]
    own = curves_of(["ours=dipeptide-robust"], ())
    assert own == [
        Curve("ours, one pass", "network-one-pass", "dipeptide-robust"),
        Curve("ours, recycled", "network", "dipeptide-robust"),
    ]
    with pytest.raises(UsageError, match="give NAME=FILE"):
        curves_of(["dipeptide-robust", "dipeptide-robust"])
    with pytest.raises(UsageError, match="no such weights"):
        curves_of(["none.safetensors"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["figures", "--budget", "1"], "--budget does not go with figures"),
        (["table1"], "one of --budget and --examples is required"),
        (["table1", "--budget", "1", "--cases", "trp"], "--cases does not go with table1"),
        (["figures", "--draw", "solve"], "draw"),
        (["figures", "--cases", "best"], "no kind of case"),
    ],
)
def test_options_that_do_not_fit(
    options: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("skimage")
    out = tmp_path / "out"
    assert main(["experiment", *options, "--data", str(data), "-o", str(out)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not out.exists()
