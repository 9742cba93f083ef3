"""`make paper`: what each step of the published protocol's leak adds, on cohorts with known truth.

Cohorts have the size and shape of the paper's: 12,000 people, 18,970 features of one channel. Finished ones
are kept under build/paper, so that a stopped run goes on. Prints a table, writes build/figures/paper.json and
paper.html.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from deploy.console import FIGURES, console, interval, show, write_figures
from deploy.evidence.cells import CellStore
from deploy.evidence.judging import auroc, auroc_difference, pooled
from deploy.evidence.paper_figure import write_figure
from deploy.evidence.protocols import PROTOCOLS
from deploy.evidence.published import Training
from deploy.evidence.replicates import (
    OURS,
    Tested,
    accuracy,
    accuracy_difference,
    auroc_within,
    make_ours,
    make_replicate,
    over_cohorts,
    tested_people,
)
from deploy.evidence.settings import CohortSettings

FOLDER = Path("build/paper")
REPLICATES = 5
TITLES = {
    OURS: "our network, our protocol",
    "honest": "paper's training, honest protocol",
    "random_split": "+ relatives across the split",
    "scaling_on_everyone": "+ scaling on everyone",
    "test_chooses_epoch": "+ test people choose the epoch",
    "as_published": "+ no validation people: as published",
}
MEASURES = ("accuracy", "auroc", "auroc_within_batch")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def cohort_settings(seed: int, shrink: int = 1) -> CohortSettings:
    """A cohort of the paper's size and shape, with genes and people of its own.

    `shrink` divides people and genes alike, so that a feature has as many people to learn it from: at full
    size the paper's own network takes hours.

    4,969 cases to 6,245 controls; truncating and damaging alleles in one channel, 2 % of liability by a third
    of 3,000 constrained genes; two batches that hold 65 and 35 % of cases, the first with 20 % fewer calls;
    15 % of people have a sibling in the study.
    """
    return CohortSettings.model_validate(
        {
            "form": "constraint",
            "n_people": 10_800 // shrink,
            "n_judges": 1_200 // shrink,
            "n_genes": 18_970 // shrink,
            "n_causal": 990 // shrink,
            "heritability": 0.02,
            "people_seed": seed,
            "truth_seed": 6 + seed,
            "technique": {"b_of_cases": 0.65, "b_of_controls": 0.35, "b_loss": 0.2},
            "relatives": {"share": 0.15, "liability_correlation": 0.4},
            "architecture": {
                "n_constrained": 3_000 // shrink,
                "constrained_alleles": [1.5 / shrink],
                "other_alleles": [18.0 / shrink],
                "effect_of_channels": [1.0],
            },
        }
    )


@app.command()
def main(
    replicates: Annotated[int, typer.Option(min=1, help="cohorts")] = REPLICATES,
    network: Annotated[
        str, typer.Option(help="dense: minutes; published: the paper's own CNN, hours on two cores")
    ] = "dense",
    ours: Annotated[bool, typer.Option(help="fit our network too")] = True,
    shrink: Annotated[int, typer.Option(min=1, max=20, help="divides people and genes")] = 1,
) -> None:
    """Run the published protocol beside an honest one; print a table, write build/figures/paper.json."""
    training = Training.model_validate({"network": network})
    smaller = "" if shrink == 1 else f"-shrink-{shrink}"
    store, name = (
        CellStore(FOLDER / f"cells{smaller}"),
        f"paper{'' if network == 'dense' else f'-{network}'}{smaller}",
    )
    done: list[CohortSettings] = []
    for seed in range(1, replicates + 1):
        done.append(cohort_settings(seed, shrink))
        make_replicate(store, done[-1], training, FOLDER)
        if ours:
            make_ours(store, done[-1], FOLDER)
        write_figures(name, figures(store, done, training))
        console.print(f"cohort {seed} of {replicates} is done")
    found = figures(store, done, training)
    tell(found)
    console.print(f"figure: {write_figure(found, TITLES, FIGURES, name)}\nfigures: build/figures/{name}.json")


def figures(store: CellStore, cohorts: Sequence[CohortSettings], training: Training) -> dict[str, Any]:
    """By protocol: accuracy and AUROC, each the mean over cohorts with its 95 % interval; what steps add."""
    pairs = [tested_people(store, settings, training) for settings in cohorts]
    by_protocol = [published for published, _ in pairs if published is not None]
    by_ours = [ours for _, ours in pairs if ours is not None]
    found: dict[str, Any] = {}
    if by_ours:
        found[OURS] = _measures(by_ours, OURS)
    found |= {name: _measures(by_protocol, name) for name in PROTOCOLS}
    oracle = pooled([auroc(one.is_case_M, one.liability_M) for one in by_protocol]).value
    majority = float(np.mean([(one.is_case_M == 0).mean() for one in by_protocol]))
    steps = {name: _step(by_protocol, name, before) for before, name in itertools.pairwise(PROTOCOLS)}
    steps["all_together"] = _step(by_protocol, PROTOCOLS[-1], PROTOCOLS[0])
    return {
        **found,
        "oracle_auroc": round(oracle, 4),
        "majority_share": round(majority, 4),
        "steps": steps,
        "cohorts": len(by_protocol),
        "network": training.model_dump(mode="json"),
        "cohort": cohorts[0].model_dump(mode="json"),
    }


def tell(found: Mapping[str, Any]) -> None:
    """Print the tables."""
    lines = [
        (title, *(interval(found[name][measure]) for measure in MEASURES))
        for name, title in TITLES.items()
        if name in found
    ]
    lines.append(("true genetic liability", "", f"{found['oracle_auroc']:.3f}", ""))
    lines.append(("everybody a control", f"{found['majority_share']:.3f}", "", ""))
    show("the published protocol beside ours", lines, ("protocol", "accuracy", "AUROC", "AUROC within batch"))
    added = [
        (TITLES.get(name, "all steps together"), interval(step["accuracy"]), interval(step["auroc"]))
        for name, step in found["steps"].items()
    ]
    show("what each step adds, on the same test people", added, ("step", "accuracy", "AUROC"))


def _measures(tested: Sequence[Tested], name: str) -> dict[str, dict[str, float]]:
    return {
        "accuracy": over_cohorts(tested, lambda one: accuracy(one.is_case_M, one.probability[name])),
        "auroc": over_cohorts(tested, lambda one: auroc(one.is_case_M, one.probability[name])),
        "auroc_within_batch": over_cohorts(
            tested, lambda one: auroc_within(one.is_case_M, one.probability[name], one.in_b_M)
        ),
    }


def _step(tested: Sequence[Tested], name: str, before: str) -> dict[str, dict[str, float]]:
    return {
        "accuracy": over_cohorts(
            tested, lambda one: accuracy_difference(one.is_case_M, *one.pair(name, before))
        ),
        "auroc": over_cohorts(tested, lambda one: auroc_difference(one.is_case_M, *one.pair(name, before))),
    }


if __name__ == "__main__":
    app()
