"""What twice the people and twice the variants cost, and what a small file does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.bench.etl import run_etl
from deploy.bench.parts import Part, write_part
from deploy.bench.sizes import EtlSizes

WITHOUT_KINSHIP = ("kinship=skip",)
"""A few hundred markers of one contig tell no families."""


def measure_scaling(folder: Path, sizes: EtlSizes, figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of halves of a cohort beside those of the whole of it, and of a small file.

    `costs` has what each step took on the whole and on both halves: what `etl.sizing` is fitted on.

    Parameters
    ----------
    folder
        Holds the whole one; parts and runs are written beside it.
    sizes
        How many people it has, how many records of its first contig the small file, and whether to measure
        any of it.
    figures
        Of `run_etl` on the whole cohort.

    Raises
    ------
    CommandFailed
        If a run fails.
    """
    if not sizes.scaling:
        return {}
    parts = {"people": Part(people=sizes.people // 2), "variants": Part(every=2)}
    halves = {name: _run(folder, part) for name, part in parts.items()}
    scaling: dict[str, Any] = {f"twice_the_{name}": _half(half, figures) for name, half in halves.items()}
    scaling["costs"] = step_costs([*halves.values(), figures])
    small = _run(folder, Part(records=sizes.small_records), *WITHOUT_KINSHIP)
    kept = ("people", "variants", "etl_seconds", "startup_seconds", "peak_rss_mb", "step_seconds")
    return scaling | {"small_file": {name: small[name] for name in kept}}


def factors(whole: dict[str, Any], half: dict[str, Any]) -> dict[str, float]:
    """Return by how much the ingest and the ETL without kinship take longer on the whole than on half."""
    names = ("ingest_seconds", "etl_seconds_without_kinship")
    return {name.replace("seconds", "factor"): whole[name] / half[name] for name in names}


def step_costs(runs: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return, by step, its seconds in each run that has it, with the run's people and variants."""
    names = sorted({name for run in runs for name in run["step_seconds"]})
    return {
        name: [
            {
                "people": run["people"],
                "variants": run["variants"],
                "seconds": run["step_seconds"][name],
            }
            for run in runs
            if name in run["step_seconds"]
        ]
        for name in names
    }


def _half(half: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    kept = ("people", "variants", "ingest_seconds", "etl_seconds", "etl_seconds_without_kinship")
    return {f"half_{name}": half[name] for name in kept} | factors(whole, half)


def _run(folder: Path, part: Part, *overrides: str) -> dict[str, Any]:
    write_part(folder / "cohort", part, folder / "part")
    return run_etl(folder / "part", folder / "part_etl", *overrides)
