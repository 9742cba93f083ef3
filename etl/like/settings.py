"""The configuration of new people: what it inherits from the first cohort. Imports neither Hail nor Spark."""

from __future__ import annotations

from typing import Any

from contract.errors import InputError, fault
from contract.reference import GENES_TEXT, open_reference

INHERITED = ("reference", "annotation", "masks", "profile", "genotype_qc", "covariates", "folds")
"""Sections that say what is counted and how; `thresholds` is among them, whole."""

OWN_PLACE = ("annotation",)
"""Sections that may name files, which lie elsewhere at a second site: they may be given anew, and `genes`."""


def inherited_settings(config: dict[str, Any], profile: dict[str, Any]) -> dict[str, Any]:
    """What a dataset keeps of its configuration for new people.

    Parameters
    ----------
    config
        The resolved configuration, as JSON content.
    profile
        All thresholds, as JSON content: they do not depend on the profiles of another installation.
    """
    kept = {name: config[name] for name in INHERITED}
    if "/" in kept["profile"]:  # a file of this installation: its numbers are all in `thresholds`
        kept["profile"] = "bipex"
    kept["thresholds"] = {name: value for name, value in profile.items() if isinstance(value, dict)}
    return kept | {"input": {"half_calls": config["input"].get("half_calls", "missing")}}


def settings_like(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with what the first cohort lays down in them.

    Raises
    ------
    InputError
        With one sentence for each setting that is another than the first cohort's, or if there is no
        reference to read.
    """
    found = open_reference(str(settings["like"]))
    first = found.content.config
    faults = []
    for name in (*INHERITED, "thresholds"):
        if name in settings and name not in OWN_PLACE and not _agrees(settings[name], first[name]):
            wanted = f"{_shown(first[name])} as in {settings['like']}, or no such key"
            faults.append(fault("configuration", name, found=_shown(settings[name]), wanted=wanted))
    if faults:
        raise InputError(faults)
    samples = settings.get("samples") or {}
    calls = settings.get("input")
    filled = {**first, **settings, "thresholds": first["thresholds"]}
    # What is given partly is whole in what the first cohort kept; samples without a table are the calls'.
    filled |= {name: first[name] for name in INHERITED if name not in OWN_PLACE}
    if "genes" not in settings:
        filled["genes"] = {
            **{"path": f"{found.folder}/{GENES_TEXT}", "columns": {}},
            **{"include_mitochondrial": True, "properties": None},
        }
    if settings.get("unseen_variants") == "absent":
        # Nothing is annotated: calls need no annotation, and none is looked for.
        filled["annotation"] = {"kind": "intervals"}
    filled["samples"] = {"path": "", "status": None, **samples}
    # How half-calls are read means something in VCF alone.
    filled["input"] = {**first["input"], **calls} if isinstance(calls, dict) and "vcf" in calls else calls
    return filled


def _agrees(given: Any, first: Any) -> bool:
    """Whether what is given is the first cohort's, or part of it."""
    if isinstance(given, dict) and isinstance(first, dict):
        return all(key in first and _agrees(value, first[key]) for key, value in given.items())
    if isinstance(given, list | tuple) and isinstance(first, list | tuple):
        return len(given) == len(first) and all(map(_agrees, given, first))
    return bool(given == first)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
