"""YAML configuration into frozen pydantic models: unknown keys are errors, all faults are told at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.errors import InputError, fault
from contract.refusals import ELSEWHERE, holds_key

ConfigT = TypeVar("ConfigT", bound=BaseModel)


class ConfigModel(BaseModel):
    """Base of every configuration model: frozen, no unknown keys, defaults checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def load_config(cls: type[ConfigT], path: str | Path, overrides: Sequence[str] = ()) -> ConfigT:
    """Read a YAML file into `cls`.

    Parameters
    ----------
    cls
        A pydantic model.
    path
        The YAML file.
    overrides
        `key.sub_key=value` texts; the value is read as YAML and replaces what the file says.

    Raises
    ------
    InputError
        If the file is absent or no YAML mapping, or with one sentence for every fault in it.
    """
    settings = _read_mapping(Path(path))
    apply_overrides(settings, overrides)
    return build_config(cls, settings, str(path))


def apply_overrides(settings: dict[str, Any], overrides: Sequence[str]) -> None:
    """Put `key.sub_key=value` texts into a mapping.

    Raises
    ------
    InputError
        If a text is not of that form or its value is no YAML.
    """
    for override in overrides:
        _apply_override(settings, override)


def build_config(
    cls: type[ConfigT], settings: dict[str, Any], where: str, *, within: str | None = None
) -> ConfigT:
    """Validate a mapping that was read from `where`, there `within` a section; see `load_config`.

    A URL with a key in it is refused too: configurations are stored with what they make.
    """
    try:
        config = cls.model_validate(settings)
    except ValidationError as error:
        raise InputError([_sentence(where, item, within) for item in error.errors()]) from None
    fields = dict.fromkeys(name for name, text in texts_of(settings, within or "") if holds_key(text))
    if fields:
        raise InputError([fault(where, name, found="a key in a URL", wanted=ELSEWHERE) for name in fields])
    return config


def texts_of(value: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Texts of nested settings, each with the name of its field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_of(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner, field)
    elif isinstance(value, str):
        yield field, value


def config_of(cls: type[ConfigT], overrides: Sequence[str]) -> ConfigT:
    """A configuration of `key=value` texts alone; see `load_config`."""
    settings: dict[str, Any] = {}
    apply_overrides(settings, overrides)
    return build_config(cls, settings, "command line")


def dump_config(config: BaseModel) -> str:
    """The resolved configuration as YAML, keys in their declared order."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def digest(content: BaseModel | dict[str, Any] | list[Any] | str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a configuration or of plain JSON content."""
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: configuration: found no readable file ({error.strerror}), wanted YAML"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: configuration: found a binary file, wanted YAML") from None
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: configuration: found no valid YAML ({error}), wanted key: value") from None
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise InputError(f"{path}: configuration: found a {type(settings).__name__}, wanted key: value")
    return settings


def _apply_override(settings: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise InputError(f"command line: override: found '{override}', wanted key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"command line: {name}: found '{text}', wanted a YAML value") from None
    *parents, last = name.split(".")
    level = settings
    for parent in parents:
        below = level.get(parent)
        if not isinstance(below, dict):
            below = {}
            level[parent] = below
        level = below
    if last == "kind" and parents and level.get("kind", value) != value:
        level.clear()  # the other settings are those of another kind
    level[last] = value


def _sentence(where: str, item: Any, within: str | None) -> str:
    keys = [within, *item["loc"]] if within else item["loc"]
    name = ".".join(str(part) for part in keys) or "whole file"
    if item["type"] == "extra_forbidden":
        return f"{where}: {name}: found an unknown key, wanted one of the documented keys"
    if item["type"] == "missing":
        return f"{where}: {name}: found nothing, wanted a value for this key"
    found = item["input"]
    shown = "a mapping" if isinstance(found, dict) else repr(found)
    return f"{where}: {name}: found {shown}, wanted: {item['msg'].removeprefix('Value error, ')}"
