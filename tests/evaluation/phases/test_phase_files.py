"""Phases of other programs: known shifts, hands and errors, columns, files that do not fit."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.cli import main
from crysformer.crystal.io.read_phases import read_phases
from crysformer.crystal.symmetry import enantiomorph, p1_mapping
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.deposited_models import model_structure_factors, read_model
from crysformer.evaluation.phases.score import PhaseScore, score_phases
from crysformer.evaluation.phases.truth import read_truth
from crysformer.testing import sample

MODEL = sample("5e5z").model_path  # P 21
CELL = gemmi.UnitCell(11, 13, 9, 90, 102, 90)


def write_mtz(
    path: Path,
    cell: gemmi.UnitCell,
    group: str,
    hkl: NDArray[np.int32],
    columns: dict[str, tuple[str, NDArray[np.float64]]],
) -> Path:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(group)
    mtz.add_dataset("test")
    mtz.set_cell_for_all(cell)
    for label, (kind, _) in columns.items():
        mtz.add_column(label, kind)
    values = [hkl, *(value for _, value in columns.values())]
    mtz.set_data(np.column_stack(values).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


class Example:
    """The bundled P 21 model to 1.5 A, and files of its phases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.structure = read_model(Path(MODEL))
        self.group = self.structure.find_spacegroup()
        self.hkl = gemmi.make_miller_array(self.structure.cell, self.group, 1.5)
        self.hkl = self.hkl[np.any(self.hkl != 0, axis=1)]
        self.F = model_structure_factors(self.structure, self.hkl, 1.5)

    def write(
        self,
        F: NDArray[np.complex128],
        name: str = "phases.mtz",
        **more: tuple[str, NDArray[np.float64]],
    ) -> Path:
        f = np.abs(F)
        columns = {"F": ("F", f), "SIGF": ("Q", 0.01 * f + 0.1), "PHIB": ("P", np.angle(F, True))}
        return write_mtz(
            self.folder / name, self.structure.cell, self.group.xhm(), self.hkl, columns | more
        )

    def score(self, F: NDArray[np.complex128]) -> PhaseScore:
        return score_phases(read_phases(self.write(F)), read_truth(MODEL))


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


def shifted(example: Example, t: tuple[float, float, float]) -> NDArray[np.complex128]:
    return np.asarray(example.F * np.exp(2j * np.pi * (example.hkl @ np.array(t))))


def test_the_truth_has_no_error(example: Example) -> None:
    found = example.score(example.F)
    assert found.score.mean_phase_error < 0.01
    assert found.score.weighted_phase_error_aligned < 0.01
    assert found.score.pc == pytest.approx(1, abs=1e-5)
    assert found.solved
    assert found.n == len(example.hkl)
    assert found.labels == ("F", "PHIB")


@pytest.mark.parametrize("t", [(0.5, 0.1234, 0.0), (0.5, -0.41, 0.5), (0.0, 0.3, 0.5)])
def test_a_permissible_origin_is_found(example: Example, t: tuple[float, float, float]) -> None:
    found = example.score(shifted(example, t))
    assert found.score.mean_phase_error > 30
    assert found.score.pc < 0.5
    assert found.score.mean_phase_error_aligned < 0.05
    assert found.score.pc_aligned == pytest.approx(1, abs=1e-4)
    assert not found.score.inverted
    back = (found.shift + np.array(t) + 0.5) % 1 - 0.5
    assert np.abs(back).max() < 1e-3


def test_an_origin_that_the_group_forbids_is_not(example: Example) -> None:
    found = example.score(shifted(example, (0.25, 0, 0)))
    assert found.score.mean_phase_error_aligned > 30


def test_the_other_hand_is_found(example: Example) -> None:
    found = example.score(shifted(example, (0, 0.2, 0)).conj())
    assert found.score.inverted
    assert found.score.mean_phase_error > 30
    assert found.score.mean_phase_error_aligned < 0.05
    assert found.score.pc_better_hand >= found.score.pc
    assert found.score.pc_aligned == pytest.approx(1, abs=1e-4)


def test_the_error_is_the_error_that_was_added(example: Example) -> None:
    """Of normally distributed errors the mean absolute one is sigma sqrt(2 / pi)."""
    noise = np.random.default_rng(3).normal(0, 25, len(example.F))
    found = example.score(shifted(example, (0, 0.3, 0.5)) * np.exp(1j * np.radians(noise)))
    added = np.abs((noise + 180) % 360 - 180)
    assert added.mean() == pytest.approx(25 * math.sqrt(2 / math.pi), abs=1.5)
    # the alignment may fit a little of the noise
    assert found.score.mean_phase_error_aligned == pytest.approx(added.mean(), abs=1.0)
    f = np.abs(example.F)
    weighted = (f * added).sum() / f.sum()
    assert found.score.weighted_phase_error_aligned == pytest.approx(weighted, abs=1.0)


def test_random_phases_are_not_solved(example: Example) -> None:
    phi = np.random.default_rng(1).uniform(0, 360, len(example.F))
    found = example.score(np.abs(example.F) * np.exp(1j * np.radians(phi)))
    assert 75 < found.score.weighted_phase_error_aligned < 95
    assert not found.solved


def test_missing_phases_count_as_ninety_degrees(example: Example) -> None:
    half = np.arange(len(example.F)) % 2 == 0
    phi = np.where(half, np.angle(example.F, True), np.nan)
    path = example.write(example.F, PHIB=("P", phi))
    found = score_phases(read_phases(path), read_truth(MODEL))
    assert found.score.mean_phase_error_aligned == pytest.approx(90 * (~half).mean(), abs=0.1)


def test_phases_in_p1_are_compared_with_a_model_in_p21(example: Example) -> None:
    mapping = p1_mapping(example.hkl, example.group)
    F = mapping.expand(example.F) * np.exp(2j * np.pi * (mapping.hkl @ np.array([0.13, 0.2, 0.7])))
    columns = {
        "F": ("F", np.abs(F)),
        "SIGF": ("Q", 0.1 * np.abs(F) + 0.1),
        "PHI": ("P", np.angle(F, True)),
    }
    path = write_mtz(example.folder / "p1.mtz", example.structure.cell, "P 1", mapping.hkl, columns)
    found = score_phases(read_phases(path), read_truth(MODEL))
    assert found.score.mean_phase_error_aligned < 0.05
    assert found.score.pc_aligned == pytest.approx(1, abs=1e-4)
    found = score_phases(read_phases(example.write(example.F)), read_truth(path))
    assert found.score.mean_phase_error_aligned < 0.05
    assert "compared in P 1" in found.notes[-1]


def test_figures_of_merit_weight_the_map_and_not_the_errors(example: Example) -> None:
    fom = np.random.default_rng(0).uniform(0.1, 1, len(example.F))
    found = score_phases(read_phases(example.write(example.F, FOM=("W", fom))), read_truth(MODEL))
    assert found.labels == ("F", "PHIB", "FOM")
    assert found.score.mean_phase_error_aligned < 0.01
    mapping = p1_mapping(example.hkl, example.group)
    f = np.abs(example.F)[mapping.parent]
    weighted = f * fom[mapping.parent]
    expected = (f * weighted).sum() / math.sqrt((f**2).sum() * (weighted**2).sum())
    assert found.score.pc == pytest.approx(expected, abs=1e-4)


def test_several_phases_are_refused_with_options_to_paste(example: Example) -> None:
    f, phi = np.abs(example.F), np.angle(example.F, True)
    path = example.write(
        example.F, FOM=("W", f / f.max()), FWT=("F", f), PHWT=("P", phi), DELFWT=("F", f),
        PHDELWT=("P", phi),
    )  # fmt: skip
    with pytest.raises(InputError) as refused:
        read_phases(path)
    for labels in ("F,PHIB,FOM", "FWT,PHWT", "DELFWT,PHDELWT"):
        assert f"`labin` {labels}" in str(refused.value)
        assert read_phases(path, labels).labels == tuple(labels.split(","))


@pytest.mark.parametrize(
    ("labin", "kind", "message"),
    [
        ("F,PHIX", InputError, "no column PHIX"),
        ("PHIB,F", InputError, "column PHIB .* expected an amplitude"),
        ("F,SIGF", InputError, "column SIGF .* expected a phase"),
        ("F,PHIB,FOM,X", UsageError, "expected F,PHI or F,PHI,FOM"),
    ],
)
def test_wrong_columns_are_refused(
    example: Example, labin: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read_phases(example.write(example.F), labin)


def test_files_that_do_not_fit_are_refused(example: Example, tmp_path: Path) -> None:
    f = np.ones(4)
    hkl = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1], [1, 1, 1]], dtype=np.int32)
    other = write_mtz(tmp_path / "o.mtz", CELL, "P 1 21 1", hkl, {"F": ("F", f), "PHI": ("P", f)})
    with pytest.raises(InputError, match="expected files of the same crystal"):
        score_phases(read_phases(other), read_truth(MODEL))
    bare = write_mtz(tmp_path / "b.mtz", CELL, "P 1 21 1", hkl, {"F": ("F", f)})
    with pytest.raises(InputError, match="no phase"):
        read_phases(bare)
    (tmp_path / "text.pdb").write_text("nothing\n")
    with pytest.raises(InputError, match="model"):
        read_truth(tmp_path / "text.pdb")
    with pytest.raises(InputError, match="no such file"):
        read_truth(tmp_path / "none.pdb")


def test_the_command_scores_one_file(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = example.write(example.F.conj()), tmp_path / "out"
    argv = ["evaluate", "--phases", str(path), "--truth", str(MODEL), "-o", str(out), "--json"]
    assert main(argv) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert {"pc", "pc_aligned", "mean_phase_error", "mean_phase_error_aligned"} <= set(metrics)
    assert {"weighted_phase_error_aligned", "solved_share", "n", "shells"} <= set(metrics)
    assert metrics["n"] == metrics["solved_share"] == 1
    assert sum(shell["n"] for shell in metrics["shells"]) == len(example.hkl)
    assert metrics["crystals"][0]["inverted"]
    assert {p.name for p in out.iterdir()} == {
        "crysformer.log", "metrics.json", "examples.csv", "phase_error.png",
    }  # fmt: skip


def test_the_command_pairs_folders_by_name(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, truth, out = (tmp_path / name for name in ("ours", "truth", "out"))
    for folder in (ours, truth):
        folder.mkdir()
    example.write(example.F).rename(ours / "one.mtz")
    example.write(example.F.conj()).rename(ours / "two.mtz")
    (truth / "one.pdb.gz").write_bytes(Path(MODEL).read_bytes())
    example.write(example.F).rename(truth / "two.mtz")
    argv = ["evaluate", "--phases", str(ours), "--truth", str(truth), "-o", str(out), "-q"]
    assert main(argv) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "phases: 2 crystals, solved 100.0%, PC after alignment 1.000, F-weighted"
    )
    with (out / "examples.csv").open() as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert {name: row["inverted"] for name, row in rows.items()} == {"one": "False", "two": "True"}
    assert all(float(row["weighted_phase_error_aligned"]) < 0.05 for row in rows.values())
    listed = tmp_path / "list.tsv"
    listed.write_text("phases\ttruth\nours/one.mtz\ttruth/one.pdb.gz\n")
    argv = ["evaluate", "--phases", str(listed), "-o", str(out), "-q", "--overwrite"]
    assert main(argv) == 0
    assert json.loads((out / "metrics.json").read_text())["n"] == 1


def test_the_command_scores_phases_of_a_data_set(data_set: Path, tmp_path: Path) -> None:
    table = FragmentStore.open(data_set).table("test")
    recipe = FragmentStore.open(data_set).recipe
    folder, out = tmp_path / "phases", tmp_path / "out"
    folder.mkdir()
    n = min(4, len(table))
    for i in range(n):
        crystal = synthetic_crystal(table, i, recipe)
        columns = {"F": ("F", crystal.data.f), "PHI": ("P", -crystal.phi_true)}
        write_mtz(folder / f"{crystal.id}.mtz", crystal.data.cell, "P 1", crystal.data.hkl, columns)
    argv = ["evaluate", "--phases", str(folder), "--data", str(data_set), "-o", str(out), "-q"]
    assert main(argv) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == len(table)
    assert metrics["n_not_applicable"] == len(table) - n
    assert metrics["solved_share"] == pytest.approx(n / len(table))
    assert metrics["mean_phase_error_aligned"] == pytest.approx(90 * (1 - n / len(table)), abs=0.1)
    with (out / "examples.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if not row["not_applicable"]]
    assert all(float(row["pc_aligned"]) > 0.999 for row in rows)
    assert all(row["inverted"] == "True" for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "solve"], "--method runs a method"),
        (["--truth", "x.pdb", "--data", "y"], "give one of them"),
        ([], "--phases needs --truth"),
    ],
)
def test_options_that_contradict_each_other(
    options: list[str],
    message: str,
    example: Example,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = example.write(example.F), tmp_path / "out"
    assert main(["evaluate", "--phases", str(path), "-o", str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_method_or_phases_are_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "-o", str(tmp_path / "out")]) == 2
    assert "missing --data and --method" in capsys.readouterr().err
    argv = ["evaluate", "--data", "x", "--method", "random", "--truth", "y", "-o", "z"]
    assert main(argv) == 2
    assert "--truth needs --phases" in capsys.readouterr().err


CELLS = {
    "P 21 21 21": (11, 13, 9, 90, 90, 90),
    "C 1 2 1": (16, 9, 11, 90, 108, 90),
    "P 41 21 2": (12, 12, 17, 90, 90, 90),
    "P 31": (11, 11, 13, 90, 90, 120),
    "I 41": (13, 13, 11, 90, 90, 90),
    "F 2 3": (19, 19, 19, 90, 90, 90),
    "P 1 21/c 1": (9, 11, 10, 90, 100, 90),
}


@pytest.mark.parametrize("group", CELLS)
def test_the_other_hand_in_its_own_group(group: str, tmp_path: Path) -> None:
    """The mirror image of P 41 21 2 is in P 43 21 2, that of I 41 at another origin."""
    cell, space_group = gemmi.UnitCell(*CELLS[group]), gemmi.SpaceGroup(group)
    rng = np.random.default_rng(5)
    structure = gemmi.SmallStructure()  # all mates, in P 1
    structure.cell = cell
    for site in rng.random((6, 3)).tolist():
        for op in space_group.operations():
            atom = gemmi.SmallStructure.Site()
            atom.element, atom.occ, atom.u_iso = gemmi.Element("C"), 1.0, 0.1
            atom.fract = gemmi.Fractional(*op.apply_to_xyz(site))
            structure.add_site(atom)
    hkl = gemmi.make_miller_array(cell, space_group, 2.0)
    calculator = gemmi.StructureFactorCalculatorX(cell)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl.tolist()])
    other = enantiomorph(space_group) or space_group

    def file(name: str, group: str, F: NDArray[np.complex128]) -> Path:
        columns = {"FC": ("F", np.abs(F)), "PHIC": ("P", np.angle(F, True))}
        return write_mtz(tmp_path / name, cell, group, hkl, columns)

    truth = read_truth(file("truth.mtz", group, F))
    # mirror images of I 41 that keep its operators are mirrored at (1/4, 0, 0)
    place = np.array([0.5, 0, 0]) if group == "I 41" else np.zeros(3)
    mirrored = F.conj() * np.exp(2j * np.pi * (hkl @ place))
    found = score_phases(read_phases(file("found.mtz", other.xhm(), mirrored)), truth)
    assert found.score.mean_phase_error_aligned < 0.1
    assert found.score.pc_aligned == pytest.approx(1, abs=1e-4)
    assert found.score.inverted != space_group.is_centrosymmetric()
