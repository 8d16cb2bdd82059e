"""Documentation and representation of everything in `crysformer.__all__`."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import crysformer

NAMES = [name for name in crysformer.__all__ if name != "data"]


def sections(documented: Any) -> dict[str, str]:
    """The parts of a numpydoc text by their titles; the first is under "summary"."""
    text = inspect.getdoc(documented) or ""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)
    return {"summary": parts[0].strip(), **dict(zip(parts[1::2], parts[2::2], strict=True))}


def parameters(function: Any) -> set[str]:
    """Names of its parameters."""
    return {name for name in inspect.signature(function).parameters if name not in ("self", "cls")}


def check(function: Any, where: str, result: bool) -> None:
    """Assert a summary of one line, all parameters, and what is returned."""
    found = sections(function)
    assert found["summary"].splitlines()[0].endswith((".", ":")), where
    named = set(re.findall(r"^([\w, *]+?)(?: :.*)?$", found.get("Parameters", ""), re.MULTILINE))
    described = {x.strip(" *") for names in named for x in names.split(",")}
    assert parameters(function) <= described, f"{where}: {parameters(function) - described}"
    if result and inspect.signature(function).return_annotation not in (None, "None"):
        assert "Returns" in found, where


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented(name: str) -> None:
    found = getattr(crysformer, name)
    if not inspect.isclass(found):
        check(found, name, result=True)
        return
    described = sections(found)
    assert described["summary"].splitlines()[0].rstrip(";").endswith("."), name
    text = described.get("Attributes", "") + described.get("Parameters", "")
    fields = getattr(found, "__dataclass_fields__", {})
    assert text or fields, name
    for field in fields:
        if fields[field].metadata.get("help"):  # a setting says what it means itself
            continue
        assert re.search(rf"^([\w, ]+, )?{field}(,[\w, ]+)?$", text, re.MULTILINE), (
            f"{name}.{field}"
        )
    for attribute, member in vars(found).items():
        if attribute.startswith("_") or not inspect.isfunction(member):
            continue
        where = f"{name}.{attribute}"
        if parameters(member) or attribute in ("to_gemmi", "to_dataset"):
            check(member, where, result=True)
        assert inspect.getdoc(member), where


def test_every_name_of_the_data_package_is_documented() -> None:
    for name in crysformer.data.__all__:
        found = getattr(crysformer.data, name)
        if inspect.isfunction(found):
            check(found, f"data.{name}", result=True)
