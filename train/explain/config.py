"""What an explanation can be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contract.config import ConfigModel, apply_overrides, build_config


class ExplainConfig(ConfigModel):
    """How a model is explained; the defaults serve 12,000 people × 19,000 genes × 4 channels."""

    sample: int = Field(
        2000, ge=0, description="people whose logits are explained, drawn by the run's seed; 0: everyone"
    )
    batch_size: int = Field(64, ge=1, description="people × steps that are in memory at once")
    tolerance: float = Field(
        0.01, gt=0, lt=1, description="relative error of completeness above which steps are added"
    )
    first_steps: int = Field(4, ge=1, description="points of the integral that everyone gets")
    most_steps: int = Field(4096, ge=1, description="points after which a person is given up")
    people: bool = Field(
        False, description="also write the attributions of single people, which is individual-level data"
    )
    lists: tuple[Path, ...] = Field((), description="files of known genes")
    folds: Literal["all"] | tuple[int, ...] = Field((), description="folds left out in refits, one at a time")
    seeds: tuple[int, ...] = Field((), description="seeds of refits")
    top: tuple[int, ...] = Field((10, 20, 50, 100, 200), description="lengths of the top of the ranking")
    fewest_carriers: int = Field(
        5, ge=1, description="carriers below which a channel of a gene is not tested: it would tell of people"
    )
    randomised_people: int = Field(64, ge=2, description="people in the check by weight randomisation")
    randomisations: int = Field(5, ge=1, description="draws of random weights")
    correlation_limit: float = Field(
        0.3, gt=0, lt=1, description="largest mean correlation between trained and random weights that passes"
    )


def explain_config(overrides: Sequence[str], *, folds: str, seeds: str, people: bool) -> ExplainConfig:
    """Settings from the command line.

    Parameters
    ----------
    overrides
        `key=value` texts.
    folds, seeds
        Whole numbers between commas; for folds also `all`; empty: none.
    people
        Whether attributions of single people are written.

    Raises
    ------
    InputError
        With one sentence for every fault.
    """
    settings: dict[str, Any] = {}
    apply_overrides(settings, overrides)
    if folds:
        settings["folds"] = folds if folds == "all" else folds.split(",")
    if seeds:
        settings["seeds"] = seeds.split(",")
    return build_config(ExplainConfig, settings | ({"people": True} if people else {}), "command line")
