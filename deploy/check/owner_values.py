"""The values that only the owner of a cluster knows: `values.env` of each target, and what is unset in it."""

from __future__ import annotations

import re
from pathlib import Path

PLACEHOLDER = "CHANGE-ME"
_LINE = re.compile(r"(?P<key>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def values_file(root: Path, target: str) -> Path:
    """Where the values of a target stand."""
    return root / "deploy" / target / "values.env"


def read_values(path: Path) -> dict[str, str]:
    """Value by name. Raises ValueError that names the line which is not `KEY=value`."""
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(f"{path}: line {number}: found {text!r}, wanted KEY=value or a comment")
        if match["key"] in values:
            raise ValueError(f"{path}: line {number}: found {match['key']} a second time, wanted it once")
        values[match["key"]] = _unquoted(match["value"].strip())
    return values


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def unset(path: Path) -> list[str]:
    """Names of the values that are empty or still the placeholder, in the file's order."""
    return [key for key, value in read_values(path).items() if not value or PLACEHOLDER in value]


def unset_sentences(path: Path) -> list[str]:
    """One sentence for each value that is still unset, or for what is wrong with the file."""
    if not path.is_file():
        return [f"{path}: found no such file, wanted the values of this target"]
    try:
        values = read_values(path)
        names = unset(path)
    except ValueError as error:
        return [str(error)]
    return [f"{path}: {name}: found {values[name] or 'nothing'}, wanted a value of yours" for name in names]


def faults(path: Path) -> list[str]:
    """What is wrong with a file of values itself; values that are unset are not."""
    try:
        read_values(path)
    except ValueError as error:
        return [str(error)]
    return []
