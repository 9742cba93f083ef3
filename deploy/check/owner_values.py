"""The values that only the owner of a cluster knows: `values.env` of each target, and what is unset in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PLACEHOLDER = "CHANGE-ME"
_LINE = re.compile(r"(?P<key>[A-Z][A-Z0-9_]*)=(?P<value>.*)")
_USES = {
    "kubernetes": {"**/*.yaml": r"fieldPath: data\.([A-Z_]+)"},
    "dataproc": {"*.yaml": r"\$\{(\w+)\}", "*.sh": r"(?m)^\s*take_values ([A-Z_ ]+)$"},
    "databricks": {"resources/*.yml": r"\$\{var\.(\w+)\}"},
    "slurm": {"common.sh": r"(?m)^names='([^']+)'"},
}
"""How the files of a target name its values: patterns of files, and of text."""
_BUNDLE_DEFAULT = r"(?m)^  (\w+): \{(?:.*, )?default:"


def values_file(root: Path, target: str) -> Path:
    """Where the values of a target stand."""
    return root / "deploy" / target / "values.env"


def used_names(root: Path, target: str) -> dict[str, Path]:
    """The values that the files of a target use, each with a file that does."""
    folder = root / "deploy" / target
    used: dict[str, Path] = {}
    for pattern, named in _USES.get(target, {}).items():
        for file in sorted(folder.glob(pattern)):
            for words in re.findall(named, file.read_text()):
                for name in words.upper().split():
                    used.setdefault(name, file)
    if target == "databricks" and (bundle := folder / "databricks.yml").is_file():
        given = {name.upper() for name in re.findall(_BUNDLE_DEFAULT, bundle.read_text())}
        own = {name: file for name, file in used.items() if name not in given}
        used = {"HOST": folder / "deploy.sh", **own}
    return used


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
        values[match["key"]] = _unquoted(match["value"].strip()).strip()
    return values


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def unset(path: Path, wanted: Iterable[str] = ()) -> list[str]:
    """Names of the values that are empty or still the placeholder, in the file's order, then absent ones."""
    values = read_values(path)
    empty = [name for name, value in values.items() if not value or PLACEHOLDER in value]
    return empty + [name for name in wanted if name not in values]


def unset_sentences(path: Path, wanted: Iterable[str] = ()) -> list[str]:
    """One sentence for each value that is unset or wanted and absent, or for what is wrong with the file."""
    if not path.is_file():
        return [f"{path}: found no such file, wanted the values of this target"]
    try:
        values = read_values(path)
        names = unset(path, wanted)
    except ValueError as error:
        return [str(error)]
    return [
        f"{path}: {name}: found {values.get(name) or 'nothing'}, wanted a value of yours" for name in names
    ]


def faults(path: Path) -> list[str]:
    """What is wrong with a file of values itself; values that are unset are not."""
    try:
        read_values(path)
    except ValueError as error:
        return [str(error)]
    return []
