"""Space groups from the notations of users and of files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

import gemmi

from crysformer.crystal.unit_cell import constants_text, is_consistent, is_possible
from crysformer.errors import InputError, UsageError

#: Subscripts and the minus sign of typeset symbols.
_TYPESET: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉−\u2013", "0123456789--")
_NUMBER: Final = re.compile(
    r"(?:space group )?(?:no\.?|number|nr\.?|#|it)?\s*(\d{1,4})", re.IGNORECASE
)
#: "(No. 19)" or "#19" after a symbol.
_TRAILING_NUMBER: Final = re.compile(r"\s*\(?\s*(?:no\.?|#)\s*\d+\s*\)?$", re.IGNORECASE)
#: The screw component of 2(1), 2_1, 2_{1}, 2<sub>1</sub>, 2~1~, with its axis.
_SCREW: Final = re.compile(r"([2346])\s*(?:\((\d)\)|_\{?(\d)\}?|<sub>(\d)</sub>|~(\d)~|sub(\d))")
#: Digits alone behind the lattice: a Hall symbol that is meant, or an incomplete other one.
_DIGITS: Final = re.compile(r"[A-Za-z](?:\s*\d)+")
#: The axes of trigonal groups at the end of a symbol: R 3 :H, R3:r, R32 (hex).
_AXES: Final = re.compile(r"^([RH]\s*-?\s*3.*?)\s*[:(]?\s*([HR])(?:ex|hom?b?)?\)?$", re.IGNORECASE)


@dataclass(frozen=True)
class SymmetryRecords:
    """Statements of one file on its space group; empty or None where it makes none.

    Attributes
    ----------
    symbol, hall
        Hermann-Mauguin and Hall symbol.
    number
        Of the International Tables, or CCP4's number of a setting.
    operators
        ``"-x,y+1/2,-z"`` and so on, in any spelling that `gemmi.Op` reads.
    """

    symbol: str = ""
    hall: str = ""
    number: int | None = None
    operators: tuple[str, ...] = ()


def parse_space_group(text: str, cell: gemmi.UnitCell | None = None) -> gemmi.SpaceGroup | None:
    """Space group of a symbol, a number, a Hall symbol or a list of operators.

    Parameters
    ----------
    text
        ``P212121``, ``P 21 21 21``, ``P2(1)2(1)2(1)``, ``R3:H``, ``19``, ``No. 19``, the Hall
        symbol ``P 2ac 2ab``, or operators such as ``x,y,z; -x,y+1/2,-z``. Capitals do not matter.
    cell
        Unit cell, which decides between settings that the text does not tell apart (rhombohedral
        and hexagonal axes, unique axis b and c); None where unknown.

    Returns
    -------
    The space group, or None if the text is none of these, or ambiguous (`ambiguity`).
    """
    plain = _plain(text)
    if plain.count(",") >= 2:
        words = plain.split()
        apart = ";" not in plain and all(word.count(",") == 2 for word in words)
        return _of_operators(tuple(words if apart else plain.rstrip("; ").split(";")))
    number = _NUMBER.fullmatch(plain)
    if number:
        return _of_number(int(number[1]), cell)
    plain = _TRAILING_NUMBER.sub("", plain)
    symbol = _SCREW.sub(lambda match: match[1] + next(g for g in match.groups()[1:] if g), plain)
    axes = _AXES.match(symbol)
    if axes:
        symbol = f"R{axes[1][1:]}:{axes[2].upper()}"
    alpha, gamma = (cell.alpha, cell.gamma) if cell is not None else (0.0, 0.0)
    symbol = symbol.replace("_", " ")
    group = gemmi.find_spacegroup_by_name(symbol, alpha, gamma)
    if group is None:
        return None if _DIGITS.fullmatch(plain) else _of_hall(plain)
    if _other_reading(symbol, group) is not None:
        return None
    if cell is not None and is_possible(cell) and not is_consistent(cell, group):
        short = symbol[0].upper() + symbol[1:].replace(" ", "")
        return _fitting(
            [g for g in _settings(group.number) if _without_ones(g.hm) == short], cell, group
        )
    return group


def ambiguity(text: str) -> str:
    """Readings of a symbol that `parse_space_group` does not decide between; empty if none.

    A Hall symbol of digits alone may be a Hermann-Mauguin symbol that lost an axis (``P 2 2``), and
    spaces between other digits than the found symbol's may be meant (``P 4 2``).
    """
    plain = _plain(text)
    hall = _of_hall(plain) if _DIGITS.fullmatch(plain) and " " in plain else None
    group = gemmi.find_spacegroup_by_name(plain)
    if group is not None:
        hall = _other_reading(plain, group)
        first = f"{group.hm} with other spaces, "
    elif hall is not None:
        first = "an incomplete Hermann-Mauguin symbol, "
    return "" if hall is None else f"it may be {first}or the Hall symbol of {hall.hm}"


def identify_space_group(
    records: SymmetryRecords, cell: gemmi.UnitCell | None = None
) -> tuple[gemmi.SpaceGroup | None, tuple[str, ...]]:
    """Space group of a file that may state it several times.

    Operators decide the setting, then the Hall symbol, the Hermann-Mauguin symbol and the number.
    Where the statements name different groups, the group that most of them name is used.

    Parameters
    ----------
    records
        The statements.
    cell
        The file's unit cell, for settings that the statements leave open.

    Returns
    -------
    (space_group, notes)
        None if no statement can be read. The notes say what was used instead of the symbol, and
        which statements contradict each other or cannot be read.
    """
    given = {
        "operators": "; ".join(records.operators),
        "Hall symbol": records.hall.strip(),
        "symbol": records.symbol.strip(),
        "number": "" if records.number is None else str(records.number),
    }
    given = {name: text for name, text in given.items() if text not in ("", "?", ".")}
    read = {
        "operators": lambda text: _of_operators(records.operators),
        "Hall symbol": _of_hall,
        "symbol": lambda text: parse_space_group(text, cell),
        "number": lambda text: _of_number(int(text), cell),
    }
    found: dict[str, gemmi.SpaceGroup] = {}
    for name, text in given.items():
        group = read[name](text)
        if group is not None:
            found[name] = group
    notes = [
        f"the file's space group {name} {given[name]!r:.60} is not understood"
        for name in given
        if name not in found
    ]
    if not found:
        return None, tuple(notes)
    numbers = Counter(group.number for group in found.values())
    source, used = next(
        (name, group)
        for name, group in found.items()
        if numbers[group.number] == max(numbers.values())
    )
    if "symbol" not in found:
        notes.append(f"space group {used.xhm()} taken from the file's {source}")
    for name, group in found.items():
        other_setting = name == "symbol" and group.operations() != used.operations()
        if group.number != used.number or other_setting:
            verb = "mean" if name == "operators" else "means"
            notes.append(
                f"the file's space group {name} {verb} {group.xhm()}, its {source} {used.xhm()}, "
                "which is used"
            )
    return used, tuple(notes)


def resolve_symmetry(
    source: str,
    cell: gemmi.UnitCell | None,
    space_group: gemmi.SpaceGroup | str | None,
    unread: str = "",
) -> tuple[gemmi.UnitCell, gemmi.SpaceGroup]:
    """Check that cell and space group are known, sensible, and agree.

    Parameters
    ----------
    source
        The file, for messages.
    cell
        Unit cell, or None where neither the file nor the user gives one.
    space_group
        Space group or a text for `parse_space_group`, likewise.
    unread
        Statements of the file on its space group that could not be read, for the message.

    Raises
    ------
    InputError
        If one of them is missing or impossible, or if they contradict each other.
    UsageError
        If the text of a space group means none, or several.
    """
    missing = []
    if cell is None or not cell.is_crystal():
        missing.append(("unit cell", "`cell` A,B,C,ALPHA,BETA,GAMMA"))
    if space_group is None:
        missing.append(("space group", "`space_group` SYMBOL"))
    if cell is None or space_group is None or missing:
        what = " and no ".join(name for name, _ in missing)
        options = " ".join(option for _, option in missing)
        reason = f" ({unread})" if unread and space_group is None else ""
        raise InputError(f"{source}: the file gives no {what}{reason}; supply {options}")

    if not is_possible(cell):
        raise InputError(
            f"{source}: cell {constants_text(cell)} is impossible; give the right `cell`"
        )
    if isinstance(space_group, str):
        symbol = space_group
        space_group = parse_space_group(symbol, cell)
        if space_group is None:
            doubt = ambiguity(symbol)
            what = (
                f"ambiguous space group {symbol!r}: {doubt}"
                if doubt
                else (f"unknown space group {symbol!r}")
            )
            raise UsageError(
                f"{source}: {what}; expected a symbol such as P1, 'P 21 21 21' or C2, or a number"
            )
    if not is_consistent(cell, space_group):
        raise InputError(
            f"{source}: cell {constants_text(cell)} contradicts space group {space_group.xhm()} "
            f"({space_group.crystal_system_str()}); give the right `cell` or `space_group`"
        )
    return cell, space_group


def _plain(text: str) -> str:
    """The text with plain digits and single spaces, without quotes."""
    return " ".join(text.translate(_TYPESET).strip().strip("'\"").split())


def _other_reading(symbol: str, group: gemmi.SpaceGroup) -> gemmi.SpaceGroup | None:
    """Group of `symbol` as a Hall symbol, if its words are not those of `group` and that differs.

    gemmi joins the words of a symbol that it does not find: P 4 2 becomes P 42, P 21 1 P 2 1 1.
    """
    words = symbol.split()
    if len(words) < 3 and (len(words) < 2 or len(words[0]) == 1):
        return None
    axes = [word for word in f"{symbol[0]} {symbol[1:]}".upper().split()[1:] if word != "1"]
    if axes == [word for word in group.hm.upper().split()[1:] if word != "1"]:
        return None
    hall = _of_hall(symbol)
    return hall if hall is not None and hall.number != group.number else None


def _of_number(number: int, cell: gemmi.UnitCell | None) -> gemmi.SpaceGroup | None:
    """The usual setting of a number; where the cell contradicts it, the first that fits."""
    if 1 <= number <= 230:
        usual = gemmi.get_spacegroup_reference_setting(number)
        return usual if cell is None else _fitting([usual, *_settings(number)], cell, usual)
    # CCP4's numbers of settings, as 1004 for P 1 1 21
    return gemmi.find_spacegroup_by_number(number) if number > 230 else None


def _of_hall(symbol: str) -> gemmi.SpaceGroup | None:
    try:
        return gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(symbol))
    except (RuntimeError, ValueError):
        return None


def _of_operators(operators: tuple[str, ...]) -> gemmi.SpaceGroup | None:
    """The tabulated setting with these operators, to which products and the identity are added."""
    try:
        ops = [gemmi.Op(text.strip().strip("'\"").replace(" ", "")).wrap() for text in operators]
        identity = gemmi.Op("x,y,z")
        group = gemmi.GroupOps([identity, *dict.fromkeys(op for op in ops if op != identity)])
        group.add_missing_elements()
    except (RuntimeError, ValueError):
        return None
    return gemmi.find_spacegroup_by_ops(group) if ops else None


def _settings(number: int) -> list[gemmi.SpaceGroup]:
    return [group for group in gemmi.spacegroup_table() if group.number == number]


def _fitting(
    groups: list[gemmi.SpaceGroup], cell: gemmi.UnitCell, otherwise: gemmi.SpaceGroup
) -> gemmi.SpaceGroup:
    if not is_possible(cell):
        return otherwise
    return next((group for group in groups if is_consistent(cell, group)), otherwise)


def _without_ones(symbol: str) -> str:
    """P 1 21 1 and P 1 1 21 as P21, the short symbol of both."""
    return "".join(word for word in symbol.split() if word != "1")
