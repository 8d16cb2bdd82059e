"""`crysformer.solve` for scripts and notebooks: a solution that can be looked at and written."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ParamSpec

from crysformer.crystal.quality.report import data_report
from crysformer.files import locked_folder, refuse_input
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing import solution as phasing
from crysformer.phasing import solver
from crysformer.report.html.result_folder import ResultFolder, structure_of_atoms
from crysformer.report.html.viewer_page import InlineView, viewer_page
from crysformer.workflow.pictures import write_picture
from crysformer.workflow.reports import REPORT, write_report
from crysformer.workflow.search_model import with_refined_model
from crysformer.workflow.solution_files import RESULTS
from crysformer.workflow.solve import write_results

P = ParamSpec("P")


@dataclass(frozen=True, eq=False, repr=False)
class Solution(phasing.Solution):
    """Phases of a crystal, a verdict on them, and ways to look at them and to write them.

    Attributes
    ----------
    sequences, copies, composition
        What the crystal was solved with; empty or None if it was not given.
    """

    sequences: tuple[str, ...] = ()
    copies: int | None = None
    composition: Any = None

    # the attributes that it inherits follow
    __doc__ = __doc__.rstrip(" ") + (phasing.Solution.__doc__ or "").partition("----------\n")[2]

    def view(self, height: int = 640) -> InlineView:
        """Show density and model in 3D in a notebook.

        Parameters
        ----------
        height
            Height of the view, pixels.

        Returns
        -------
        InlineView
            A page within the notebook that loads nothing and leaves no file.
        """
        return InlineView(viewer_page(self._as_results()), height)

    def write(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the files that ``crysformer solve`` writes, but for those of building.

        Parameters
        ----------
        folder
            Receives solution.mtz, solution.ccp4, summary.json, report.html, density.png and, where
            the solution has such a model, model.cif or atoms.res; all of them or none.
        overwrite
            Accept a folder that is not empty.

        Returns
        -------
        Path
            The folder. `crysformer.building.start_from_files.read_solved_folder` reads it, and
            ``crysformer build`` goes on from it.

        Raises
        ------
        UsageError
            If the folder is not empty, or another process writes into it.
        CrysformerError
            If it cannot be written into.
        """
        target, data = Path(folder), self._measurements()
        refuse_input([data.source], [target / name for name in (*RESULTS, REPORT)])
        with locked_folder(target, overwrite=overwrite):
            report = data_report(data, self.sequences or None, self.copies, self.composition)
            refined = with_refined_model(self, data)
            write_results(target, data, refined, report, self.sequences, self.copies)
            write_report(target, (data, report))
            write_picture(target, refined, Path(data.source).name)
        return target

    def _measurements(self) -> Any:
        if self.data is None:
            raise ValueError("the solution has no data")
        return self.data

    def _as_results(self) -> ResultFolder:
        data, structure = self._measurements(), None
        if self.model is not None:
            structure = self.model.to_structure()
        elif self.atoms is not None:
            atoms = self.atoms
            structure = structure_of_atoms(atoms.cell, atoms.element, atoms.frac, atoms.b_iso)
        return ResultFolder(Path(), self.to_summary(), self.to_gemmi(), data, structure)


def _with_files(function: Callable[P, phasing.Solution]) -> Callable[P, Solution]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def solved(*args: P.args, **kwargs: P.kwargs) -> Solution:
        found = function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        return Solution(
            **{field.name: getattr(found, field.name) for field in fields(found)},
            sequences=sequences_of(given.get("sequence")),
            copies=given.get("copies"),
            composition=given.get("composition"),
        )

    return solved


solve = _with_files(solver.solve)
