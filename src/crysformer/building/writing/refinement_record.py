"""Description of data and refinement in a structure, which mmCIF and PDB files print."""

from __future__ import annotations

import math
import re

import gemmi

from crysformer.building.r_factors import ShellRFactors
from crysformer.building.validation.validation import Validation
from crysformer.building.writing.finished_model import FinishedModel
from crysformer.crystal.io.write import DEFAULT_TITLE
from crysformer.crystal.quality.completeness import completeness
from crysformer.crystal.reflections import CrystalData
from crysformer.version import __version__

#: Method of the experiment, and kind of radiation.
METHODS = {
    "xray": ("X-RAY DIFFRACTION", "x-ray"),
    "electron": ("ELECTRON CRYSTALLOGRAPHY", "electron"),
}
_SOLVED_BY = "AB INITIO PHASING"
_PROGRAM = re.compile(r"(?P<name>.*?)[\s]+(?P<version>v?\d\S*)\s*$")


def describe(
    structure: gemmi.Structure, model: FinishedModel, validation: Validation | None
) -> None:
    """Put data, refinement statistics and software into `structure.meta`, and a title.

    Parameters
    ----------
    structure
        Changed in place.
    model
        What is told.
    validation
        For deviations from ideal geometry; None leaves them out.
    """
    data = model.data
    method, scattering = METHODS[data.radiation]
    structure.resolution = data.d_min
    title = " ".join(data.provenance.title.split())
    title = "" if title == DEFAULT_TITLE else title
    structure.info["_exptl.method"] = method
    structure.info["_entry.id"] = structure.name
    structure.info["_struct.title"] = title or "Model built by crysformer"
    meta = structure.meta
    meta.experiments = [_experiment(data, method)]
    meta.crystals = [_crystal(data, scattering)]
    meta.software = _software(model.program, model.ab_initio)
    if model.ab_initio:  # where other phases or models come from is not known
        meta.solved_by = _SOLVED_BY
    meta.refinement = [_refinement(model, method, validation)]


def _experiment(data: CrystalData, method: str) -> gemmi.ExperimentInfo:
    found = gemmi.ExperimentInfo()
    found.method = method
    found.number_of_crystals = 1
    found.unique_reflections = int(data.measured.sum())
    found.reflections.resolution_high = round(data.d_min, 3)
    found.reflections.resolution_low = round(data.d_max, 3)
    found.reflections.completeness = round(100 * completeness(data).overall, 2)
    found.diffraction_ids = ["1"]
    return found


def _crystal(data: CrystalData, scattering: str) -> gemmi.CrystalInfo:
    diffraction = gemmi.DiffractionInfo()
    diffraction.id = "1"
    diffraction.scattering_type = scattering
    diffraction.mono_or_laue = "M"
    if data.wavelength:
        diffraction.wavelengths = f"{data.wavelength:.5g}"
    crystal = gemmi.CrystalInfo()
    crystal.id = "1"
    crystal.diffractions = [diffraction]
    return crystal


def _software(refined_by: str, phased: bool) -> list[gemmi.SoftwareItem]:
    kinds = gemmi.SoftwareItem.Classification
    done = (kinds.Phasing, kinds.ModelBuilding) if phased else (kinds.ModelBuilding,)
    found = [("crysformer", __version__, kind) for kind in done]
    match = _PROGRAM.match(refined_by)
    name, version = (match["name"], match["version"]) if match else (refined_by, "")
    if name.startswith("crysformer"):
        name, version = "crysformer", __version__
    items = []
    for name_of, version_of, kind in [*found, (name, version, kinds.Refinement)]:
        item = gemmi.SoftwareItem()
        item.name, item.version, item.classification = name_of, version_of, kind
        items.append(item)
    return items


def refinement_details(model: FinishedModel) -> str:
    """The free set, and the k-fold R factors beside the R-free of this one model, in words."""
    details, fold = model.free.note, model.k_fold
    if fold is not None:
        details += (
            f"; R-free of {model.r.n_free} reflections says little: over {fold.folds} refinements "
            f"that each left out another part of the data, R-work is {fold.r_work:.4f} and R-free "
            f"{fold.r_free:.4f} +- {fold.r_free_error:.4f}"
        )
    return details


def _refinement(
    model: FinishedModel, method: str, validation: Validation | None
) -> gemmi.RefinementInfo:
    data, r = model.data, model.r
    info = gemmi.RefinementInfo()
    info.id = method
    info.resolution_high, info.resolution_low = round(data.d_min, 3), round(data.d_max, 3)
    info.completeness = round(100 * completeness(data).overall, 2)
    info.reflection_count = r.n_work + r.n_free
    info.work_set_count, info.rfree_set_count = r.n_work, r.n_free
    info.r_all, info.r_work, info.r_free = (round(x, 4) for x in (r.r_all, r.r_work, r.r_free))
    info.cross_validation_method = "THROUGHOUT" if r.n_free else "NONE"
    if r.n_free and model.free.origin == "drawn":  # how that of a file was is not known
        info.rfree_selection_method = "RANDOM"
    info.mean_b = round(model.scaled.mean_b, 2)
    u = model.scaled.u_aniso
    scale = 8 * math.pi**2
    info.aniso_b = gemmi.SMat33d(*(round(scale * x, 3) for x in u.elements_pdb()))
    info.bins = [_bin(shell) for shell in r.shells]
    info.bin_count = len(info.bins)
    if validation is not None:
        info.restr_stats = _deviations(validation)
    return info


def _bin(shell: ShellRFactors) -> gemmi.BasicRefinementInfo:
    found = gemmi.BasicRefinementInfo()
    found.resolution_high, found.resolution_low = round(shell.d_min, 3), round(shell.d_max, 3)
    found.reflection_count = shell.n_work + shell.n_free
    found.work_set_count, found.rfree_set_count = shell.n_work, shell.n_free
    found.r_work, found.r_free = round(shell.r_work, 4), round(shell.r_free, 4)
    return found


def _deviations(validation: Validation) -> list[gemmi.RefinementInfo.Restr]:
    """Root mean square deviations under names that wwPDB files use."""
    rows = [
        ("f_bond_d", validation.bonds.n, validation.bonds.rms),
        ("f_angle_d", validation.angles.n, validation.angles.rms),
    ]
    found = []
    for name, n, rms in rows:
        if n:
            restraint = gemmi.RefinementInfo.Restr(name)
            restraint.count, restraint.dev_ideal = n, round(rms, 4)
            found.append(restraint)
    return found
