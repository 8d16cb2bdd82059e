"""The paper's choice of entries as a query of the RCSB PDB Search API, and its answer.

https://search.rcsb.org: a JSON object sent to ``/rcsbsearch/v2/query``. Polymer entities (the
distinct chains of an entry, ``1SHG_1``) are grouped by sequence identity, and of each group the
best resolved one is returned.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from crysformer.data.criteria import Criteria
from crysformer.data.rcsb.http_client import HttpClient
from crysformer.errors import CrysformerError

log = logging.getLogger(__name__)

SEARCH_URL: Final = "https://search.rcsb.org/rcsbsearch/v2/query"
#: Sequence identity of a group, per cent.
IDENTITY: Final = 30
#: Largest page that the service gives.
_ROWS: Final = 10_000
_BY_RESOLUTION: Final = {"sort_by": "rcsb_entry_info.resolution_combined", "direction": "asc"}
_ENTITY = re.compile(r"(?P<entry>[0-9][0-9A-Z]{3}|PDB_[0-9A-Z]{8})_(?P<number>[0-9]+)")


def query(
    criteria: Criteria, representatives: bool, start: int, rows: int = _ROWS
) -> dict[str, Any]:
    """Request for one page of the polymer entities that fit.

    Parameters
    ----------
    criteria
        The criteria.
    representatives
        Only the best resolved entity of each group of 30 % sequence identity.
    start, rows
        First hit of the page, and hits of a page.
    """
    released = f"{criteria.released_after + 1}-01-01T00:00:00Z"
    nodes = [
        _terminal("exptl.method", "exact_match", "X-RAY DIFFRACTION"),
        _terminal("rcsb_accession_info.initial_release_date", "greater_or_equal", released),
        _terminal("entity_poly.rcsb_entity_polymer_type", "exact_match", "Protein"),
        _terminal(
            "entity_poly.rcsb_sample_sequence_length", "greater_or_equal", criteria.min_length
        ),
        _terminal("rcsb_entry_info.resolution_combined", "less_or_equal", criteria.max_resolution),
        _terminal("refine.ls_R_factor_R_free", "less_or_equal", criteria.max_r_free),
    ]
    options: dict[str, Any] = {
        "results_content_type": ["experimental"],
        "results_verbosity": "compact",
        "sort": [_BY_RESOLUTION],
        "paginate": {"start": start, "rows": rows},
    }
    if representatives:
        options["group_by"] = {
            "aggregation_method": "sequence_identity",
            "similarity_cutoff": IDENTITY,
            "ranking_criteria_type": _BY_RESOLUTION,
        }
        options["group_by_return_type"] = "representatives"
    return {
        "query": {"type": "group", "logical_operator": "and", "nodes": nodes},
        "return_type": "polymer_entity",
        "request_options": options,
    }


def _terminal(attribute: str, operator: str, value: str | float) -> dict[str, Any]:
    return {
        "type": "terminal",
        "service": "text",
        "parameters": {"attribute": attribute, "operator": operator, "value": value},
    }


def search(
    client: HttpClient,
    criteria: Criteria,
    representatives: bool = True,
    url: str = SEARCH_URL,
    rows: int = _ROWS,
) -> list[str]:
    """Ask for all polymer entities that fit, page by page.

    Returns
    -------
    Their names in lower case, such as ``1shg_1``, sorted.

    Raises
    ------
    CrysformerError
        If the service cannot be reached, or its answer is not understood.
    """
    found: dict[str, None] = {}
    start = 0
    while True:
        answer = client.post_json(url, query(criteria, representatives, start, rows))
        if answer is None:  # status 204: nothing fits
            return sorted(found)
        hits = answer.get("result_set")
        # grouped: total_count counts the entities that fit, group_by_count the groups of them
        total = answer.get("group_by_count" if representatives else "total_count")
        total = answer.get("total_count") if total is None else total
        if not isinstance(hits, list) or not isinstance(total, int):
            raise CrysformerError(
                f"{url}: an answer without result_set and total_count; perhaps the service has "
                "changed"
            )
        found.update(dict.fromkeys(_entity(hit, url) for hit in hits))
        start += rows
        if start >= total or not hits:
            break
    if len(found) < total:  # equal resolutions are in no fixed order
        log.warning("%s: gave %d of %d hits, some of them on two pages", url, len(found), total)
    return sorted(found)


def _entity(hit: Any, url: str) -> str:
    name = hit.get("identifier") if isinstance(hit, dict) else hit
    if not isinstance(name, str) or not _ENTITY.fullmatch(name.upper()):
        raise CrysformerError(
            f"{url}: {str(name)[:40]!r} is not the name of a polymer entity such as 1SHG_1; "
            "perhaps the service has changed"
        )
    return name.lower()


def is_entity(name: str) -> bool:
    """True for the name of a polymer entity in lower case."""
    return name == name.lower() and _ENTITY.fullmatch(name.upper()) is not None


def entry_of(entity: str) -> str:
    """Code of the entry of a polymer entity: ``1shg_1`` to ``1shg``."""
    return entity.rsplit("_", 1)[0]
