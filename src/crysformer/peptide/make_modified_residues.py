"""Make `modified_residues.cif` from the wwPDB's Chemical Component Dictionary.

``python -m crysformer.peptide.make_modified_residues components.cif`` writes the definitions of the
residues named here, as far as models and restraints need them, beside this file. The dictionary
(https://www.wwpdb.org/data/ccd) is in the public domain (CC0 1.0).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import gemmi

OUTPUT: Final = Path(__file__).with_name("modified_residues.cif")

#: Amino acids with the backbone N, CA, C, O.
_NAMES: Final = """
2AG ABA AGM AIB ALC ALY BIF BMT CGU CHG CIR CME CSD CSO D4P DAB DBB DBU DHA DIV DNE DPP
FTR GHP HCS HOX HSE HYP IML IYR KCX LYZ M3L MAA MEA MEN MHO MLE MLY MLZ MVA NAL NIY NLE
NVA OCS OIC ORD ORN PCA PF5 PG9 PHI PTR PYL SAR SEC SEP TBG TPO TYI TYS YCP YNM ZAE
"""
_ATOM: Final = ["atom_id", "type_symbol", "charge", "pdbx_stereo_config"]
_BOND: Final = ["atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"]
_IDEAL: Final = [f"pdbx_model_Cartn_{axis}_ideal" for axis in "xyz"]
_MODEL: Final = [f"model_Cartn_{axis}" for axis in "xyz"]


def chosen(document: gemmi.cif.Document) -> gemmi.cif.Document:
    """The blocks of the residues with the columns that are used; KeyError for one not found."""
    out = gemmi.cif.Document()
    for name in _NAMES.split():
        block = document.find_block(name)
        if block is None:
            raise KeyError(name)
        short = out.add_new_block(name)
        for item in ("id", "name", "type"):
            short.set_pair(f"_chem_comp.{item}", block.find_value(f"_chem_comp.{item}"))
        ideal = block.find("_chem_comp_atom.", ["type_symbol", *_IDEAL])
        complete = all(row[0] == "H" or "?" not in list(row)[1:] for row in ideal)
        _copy(block, short, "_chem_comp_atom.", _ATOM + (_IDEAL if complete else _MODEL))
        _copy(block, short, "_chem_comp_bond.", _BOND)
    return out


def _copy(block: gemmi.cif.Block, to: gemmi.cif.Block, category: str, tags: list[str]) -> None:
    loop = to.init_loop(category, tags)
    for row in block.find(category, tags):
        loop.add_row(list(row))


if __name__ == "__main__":
    OUTPUT.write_text(chosen(gemmi.cif.read(sys.argv[1])).as_string(), encoding="utf-8")
