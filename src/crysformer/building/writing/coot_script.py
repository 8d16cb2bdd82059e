"""Script that opens the files of a model in Coot."""

from __future__ import annotations

import os

from crysformer.files import write_bytes

_SCRIPT = '''\
"""Open the model and its maps: a script for Coot 0.9 or 1."""

import os
import sys

try:
    import coot
except ImportError:  # older versions have their functions in the main module
    import __main__ as coot

scripts = [globals().get("__file__")] + [a for a in sys.argv if a.endswith("open.py")]
folders = [os.path.dirname(os.path.abspath(script)) for script in scripts if script]
folders.append(os.getcwd())
folder = next((f for f in folders if os.path.exists(os.path.join(f, {model!r}))), folders[0])
model = os.path.join(folder, {model!r})
reflections = os.path.join(folder, {reflections!r})
coot.handle_read_draw_molecule_with_recentre(model, 1)
coot.make_and_draw_map(reflections, "FWT", "PHWT", "", 0, 0)
coot.make_and_draw_map(reflections, "DELFWT", "PHDELWT", "", 0, 1)
'''


def write_coot_script(
    path: str | os.PathLike[str], model: str = "model.cif", reflections: str = "solution.mtz"
) -> None:
    """Write a script that opens model, 2mFo-DFc map and difference map.

    The files are looked for beside the script, wherever the folder is moved to.

    Parameters
    ----------
    path
        The script, in the folder of the files.
    model, reflections
        Their names.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    text = _SCRIPT.format(model=model, reflections=reflections)
    write_bytes(path, text.encode())
