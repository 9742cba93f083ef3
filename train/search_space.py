"""A search space in YAML: configuration keys with ranges or choices, checked against the configuration."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field, model_validator

from contract.config import ConfigModel, build_config
from contract.errors import InputError, fault
from train.config import TrainConfig

FIXED = (
    "seed",
    "data.dataset",
    "data.reader",
    "data.cache",
    "data.cache_mb",
    "data.prefetch",
    "data.validation_folds",
    "data.held_out_folds",
    "data.permute_labels",
    "model.kind",
    "model.shuffle_genes",
    "model.effects.shuffle_properties",
    "evaluation",
    "run",
)
"""Keys or sections that are not tuned: which people, which network, controls, how to read and judge."""
FOLDS_KEY = "folds"
"""The one key of a search space that is none of the configuration: the inner folds to judge trials by."""
SHOWN = 3
"""Keys that an error names as near to an unknown one."""


class Dimension(ConfigModel):
    """What one key may be: a range from `low` to `high`, or one of `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="search orders of magnitude alike")
    step: float | None = Field(None, gt=0, description="distance between values; not with log")
    choices: tuple[Any, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_form(self) -> Dimension:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("either choices, or low and high")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low below high (low {self.low:g}, high {self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"low above 0 where log is true (low {self.low:g})")
        if self.log and self.step is not None:
            raise ValueError("step or log, not both")
        return self


class SearchSpace:
    """Keys of a configuration and where to look for their values.

    `distributions` are optuna's; choices are JSON texts there, so that lists and null are choices too.
    `folds` are the inner folds to judge by; null: all of them.
    """

    def __init__(
        self, dimensions: dict[str, Dimension], base: TrainConfig, folds: tuple[int, ...] | None = None
    ) -> None:
        self.dimensions, self.base, self.folds = dimensions, base, folds
        self._now = flatten(base.model_dump(mode="json"))
        self.distributions = {key: self._distribution(key) for key in dimensions}

    def start(self) -> dict[str, Any] | None:
        """The configuration as it stands, as optuna's parameters; null where a value is outside the space."""
        values = {key: self._encode(key, self._now[key]) for key in self.dimensions}
        inside = all(_holds(self.distributions[key], value) for key, value in values.items())
        return values if inside else None

    def settings(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Values of configuration keys from optuna's parameters."""
        return {
            key: json.loads(value) if self.dimensions[key].choices is not None else value
            for key, value in parameters.items()
        }

    def config(self, settings: dict[str, Any], where: str) -> TrainConfig:
        """The base configuration with these values; see `contract.config.build_config` for what is raised."""
        changed = self.base.model_dump(mode="json")
        for key, value in settings.items():
            *parents, last = key.split(".")
            level = changed
            for parent in parents:
                level = level[parent]
            level[last] = value
        return build_config(TrainConfig, changed, where)

    def _distribution(self, key: str) -> BaseDistribution:
        dimension = self.dimensions[key]
        if dimension.choices is not None:
            return CategoricalDistribution([json.dumps(choice) for choice in dimension.choices])
        low, high = float(dimension.low or 0), float(dimension.high or 0)
        if isinstance(self._now[key], int):
            return IntDistribution(int(low), int(high), dimension.log, int(dimension.step or 1))
        return FloatDistribution(low, high, dimension.log, dimension.step)

    def _encode(self, key: str, value: Any) -> Any:
        return json.dumps(value) if self.dimensions[key].choices is not None else value


def read_space(path: Path, base: TrainConfig) -> SearchSpace:
    """Read and check a search space.

    Parameters
    ----------
    path
        YAML: `optimizer.learning_rate: {low: 0.001, high: 0.1, log: true}`, `model.window: {choices: [8]}`,
        and, if not all inner folds are to judge, `folds: [0, 1, 2]`.
    base
        The configuration that trials change.

    Raises
    ------
    InputError
        With one sentence for every fault: a key that is unknown or not tuned, a range that is none, or a
        value that the configuration refuses.
    """
    entries = _read_mapping(path)
    folds = _folds(path, entries.pop(FOLDS_KEY, None))
    known = flatten(base.model_dump(mode="json"))
    faults, dimensions = [], {}
    for key, entry in entries.items():
        try:
            dimensions[key] = _dimension(path, str(key), entry, known)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    space = SearchSpace(dimensions, base, folds)
    for key, dimension in dimensions.items():
        ends = dimension.choices if dimension.choices is not None else (dimension.low, dimension.high)
        for value in ends:
            try:
                space.config({key: _whole(value, known[key])}, str(path))
            except InputError as error:
                faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return space


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _dimension(path: Path, key: str, entry: Any, known: dict[str, Any]) -> Dimension:
    tunable = [name for name in known if not _is_fixed(name)]
    if key not in known:
        wanted = f"a key of the configuration, such as {', '.join(_near(key, tunable))}"
        raise InputError(fault(path, key, found="an unknown key", wanted=wanted))
    if _is_fixed(key):
        found, wanted = "a key that trials must share", f"one of {', '.join(sorted(_sections(tunable)))}.…"
        raise InputError(fault(path, key, found=found, wanted=wanted))
    if not isinstance(entry, dict):
        wanted = "{low: …, high: …, log: …} or {choices: […]}"
        raise InputError(fault(path, key, found=repr(entry), wanted=wanted))
    dimension = build_config(Dimension, entry, str(path), within=key)
    ends = [end for end in (dimension.low, dimension.high, dimension.step) if end is not None]
    if _is_count(known[key]) and any(end != int(end) for end in ends):
        raise InputError(fault(path, key, found=[f"{end:g}" for end in ends], wanted="whole numbers"))
    if dimension.choices is None and not isinstance(known[key], int | float):
        wanted = "choices: this key holds no number"
        raise InputError(fault(path, key, found="a range", wanted=wanted))
    if dimension.choices is None and isinstance(known[key], bool):
        raise InputError(fault(path, key, found="a range", wanted="choices: [true, false]"))
    return dimension


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            fault(path, "search space", found=f"no readable YAML ({error})", wanted="key: {low: …, high: …}")
        ) from None
    if not isinstance(content, dict) or not set(content) - {FOLDS_KEY}:
        found = "no key" if not content or isinstance(content, dict) else f"a {type(content).__name__}"
        raise InputError(fault(path, "search space", found=found, wanted="key: {low: …, high: …}"))
    return content


def _folds(path: Path, found: Any) -> tuple[int, ...] | None:
    if found is None:
        return None
    if not isinstance(found, list) or not found or not all(_is_count(fold) for fold in found):
        raise InputError(fault(path, FOLDS_KEY, found=repr(found), wanted="a list such as [0, 1, 2]"))
    return tuple(dict.fromkeys(found))


def _is_fixed(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in FIXED)


def _near(key: str, known: list[str]) -> list[str]:
    """Known keys that look like this one, or end like it, best first."""
    last = key.rsplit(".", 1)[-1]
    ends = {name.rsplit(".", 1)[-1]: name for name in known}
    near = difflib.get_close_matches(key, known, SHOWN, cutoff=0.6)
    near += [ends[end] for end in difflib.get_close_matches(last, list(ends), SHOWN, cutoff=0.6)]
    return list(dict.fromkeys(near))[:SHOWN] or known[:SHOWN]


def _sections(keys: list[str]) -> set[str]:
    return {key.split(".")[0] for key in keys}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: Any, now: Any) -> Any:
    return int(value) if _is_count(now) and isinstance(value, float) and value == int(value) else value


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return False
    steps = (value - distribution.low) / distribution.step if distribution.step else 0.0
    return bool(distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-9)
