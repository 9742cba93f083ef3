"""The resolved profile with the sources that its YAML file gives beside the numbers."""

from __future__ import annotations

import re

import yaml
from pydantic import BaseModel

from etl.report.data import Threshold

_LINE = re.compile(r"^(\s*)([a-z_0-9]+):([^#]*)(?:#\s*(.*))?$")


def profile_thresholds(profile: BaseModel, yaml_text: str) -> list[Threshold]:
    """Every threshold of a profile, in its declared order.

    Parameters
    ----------
    profile
        The profile as it was used, overrides in it.
    yaml_text
        The profile's file: the comment behind a number is its unit and source. A number that differs from
        the file's is marked as this run's own.
    """
    written = _comments(yaml_text)
    thresholds = []
    for group, section in profile:
        if not isinstance(section, BaseModel):
            continue
        for name, value in section:
            text, comment = written.get((group, name), ("", ""))
            meaning = type(section).model_fields[name].description or ""
            own = bool(text) and not _same(text, value)
            source = f"set by this run; the profile has {text}" if own else comment
            thresholds.append(Threshold(group, name, _shown(value), meaning, source))
    return thresholds


def _comments(yaml_text: str) -> dict[tuple[str, str], tuple[str, str]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    group, general = "", ""
    for line in yaml_text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent, name, value, comment = match.groups()
        if not indent:
            group, general = name, comment or ""
        else:
            told = "; ".join(part for part in (comment, general) if part)
            found[group, name] = (value.strip(), told)
    return found


def _same(text: str, value: object) -> bool:
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    plain = value.model_dump() if isinstance(value, BaseModel) else value
    return bool(written == (list(plain) if isinstance(plain, tuple) else plain))


def _shown(value: object) -> str:
    if isinstance(value, BaseModel):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
