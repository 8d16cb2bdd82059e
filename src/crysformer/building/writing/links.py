"""Disulphide bridges and cis peptide bonds, as a deposition lists them."""

from __future__ import annotations

import gemmi

from crysformer.building.validation.conformers import Conformer, conformers
from crysformer.building.validation.settings import ValidationSettings
from crysformer.building.validation.torsion_angles import peptide_bonds

_LONGEST_DISULPHIDE = 2.5  # A


def add_links(structure: gemmi.Structure) -> None:
    """List the disulphides, also to symmetry mates, and cis peptide bonds of a structure."""
    listed = {_residues(connection) for connection in structure.connections}
    for connection in _disulphides(structure):
        if _residues(connection) not in listed:  # of alternative conformers only the first
            listed.add(_residues(connection))
            connection.name = f"disulf{len(structure.connections) + 1}"
            structure.connections.append(connection)
    structure.cispeps.clear()
    of_site: dict[object, Conformer] = {c.site: c for c in conformers(structure[0])}
    for bond in peptide_bonds(list(of_site.values()), ValidationSettings()):
        if bond.cis:
            first, second = _addresses(structure, bond.site.chain, bond.site.residue)
            cis = gemmi.CisPep()
            cis.partner_c, cis.partner_n = first, second
            cis.model_num = 1
            cis.reported_angle = bond.omega
            structure.cispeps.append(cis)


def _residues(connection: gemmi.Connection) -> tuple[object, ...]:
    """Residues that a connection links, whatever their order, and whether by symmetry."""
    ends = (connection.partner1, connection.partner2)
    return (
        frozenset((end.chain_name, str(end.res_id.seqid)) for end in ends),
        connection.asu == gemmi.Asu.Different,
    )


def _addresses(
    structure: gemmi.Structure, chain: str, number: str
) -> tuple[gemmi.AtomAddress, gemmi.AtomAddress]:
    """Addresses of C of a residue and N of the next one."""
    rows = list(structure[0][chain])
    i = next(i for i, residue in enumerate(rows) if str(residue.seqid) == number)
    return (
        gemmi.AtomAddress(chain, rows[i].seqid, rows[i].name, "C"),
        gemmi.AtomAddress(chain, rows[i + 1].seqid, rows[i + 1].name, "N"),
    )


def _disulphides(structure: gemmi.Structure) -> list[gemmi.Connection]:
    copy = structure.clone()
    copy.setup_cell_images()
    search = gemmi.ContactSearch(_LONGEST_DISULPHIDE)
    search.ignore = gemmi.ContactSearch.Ignore.SameResidue
    neighbours = gemmi.NeighborSearch(copy[0], copy.cell, _LONGEST_DISULPHIDE)
    neighbours.populate(include_h=False)
    found = []
    for contact in search.find_contacts(neighbours):
        ends = contact.partner1, contact.partner2
        if all(end.atom.name == "SG" for end in ends):
            connection = gemmi.Connection()
            connection.type = gemmi.ConnectionType.Disulf
            connection.asu = gemmi.Asu.Different if contact.image_idx else gemmi.Asu.Same
            connection.reported_distance = contact.dist
            connection.partner1, connection.partner2 = (
                gemmi.AtomAddress(
                    end.chain.name, end.residue.seqid, end.residue.name, "SG", end.atom.altloc
                )
                for end in ends
            )
            found.append(connection)
    return found
