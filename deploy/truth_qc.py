"""`make truth-qc`: quality control scored on simulated cohorts whose every defect is known.

Recall and specificity on three cohorts, and on a cohort without any genetic effect the burden of the sealed
fold beside that of the others. Prints tables and writes build/figures/truth-qc.json.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from contract.config import load_config
from contract.dataset import read_samples
from contract.manifest import read_manifest
from deploy.console import PYTHON, Chain, console, show, write_figures
from deploy.findings import read_findings
from etl.config import EtlConfig
from etl.simulate import load_truth
from etl.simulate.recovery import Specificity, recovered_defects, specificity

FOLDER = Path("build/truth-qc")
SIMULATE, CONFIG = "conf/simulate/truth.yaml", "conf/etl/truth.yaml"
SEEDS = (1, 2, 3)
NULL_SEED = 4
NULL_FOLDS = (0, 1, 2)
"""Folds that are sealed in turn on the null cohort: more people, a narrower interval."""

BOOTSTRAPS = 2_000


def main() -> None:
    """Simulate, run the ETL, score."""
    chain = Chain()
    kinds, scores = [], []
    for seed in SEEDS:
        config = _run(chain, seed, f"cohort {seed} of {len(SEEDS)}")
        truth, findings = load_truth(Path(config.data) / "truth.json"), read_findings(config)
        limits = config.resolved_profile().relatedness
        table = recovered_defects(
            truth,
            findings,
            min_kinship=limits.min_kinship_family,
            min_duplicate=limits.min_kinship_duplicate,
        )
        kinds.append(table.set_index("kind"))
        scores.append(specificity(truth, findings, truth.alleles))
    ratios = _burden_ratios(chain)
    total = pd.concat(kinds).groupby(level=0, sort=False).sum()
    _show(total, scores, ratios)
    by_seed = {
        str(seed): _figures(table, [score]) for seed, table, score in zip(SEEDS, kinds, scores, strict=True)
    }
    figures = {
        **_figures(total, scores),
        "seeds": by_seed,
        "burden_ratio": ratios,
        "seconds": round(chain.seconds, 1),
    }
    write_figures("truth-qc", figures)
    console.print("figures: build/figures/truth-qc.json")


def _run(chain: Chain, seed: int, title: str, *simulated: str) -> EtlConfig:
    """Simulate a cohort and run the ETL on it."""
    folder = FOLDER / f"seed-{seed}"
    data = [f"data={folder}/cohort", f"out={folder}/out"]
    command = [PYTHON, "-m", "etl", "simulate", SIMULATE, f"seed={seed}", f"out={folder}/cohort", *simulated]
    chain.run(f"{title}: simulate", command)
    chain.run(f"{title}: quality control", [PYTHON, "-m", "etl", "run", CONFIG, *data])
    return load_config(EtlConfig, CONFIG, data)


def _burden_ratios(chain: Chain) -> dict[str, dict[str, float]]:
    """Mean burden of the sealed fold over that of other people by mask, on a cohort without any effect."""
    config = _run(chain, NULL_SEED, "null cohort", "phenotype.heritability=0", "phenotype.causal_genes=1",
                  "phenotype.interaction_groups=0")  # fmt: skip
    parts = []
    for fold in NULL_FOLDS:
        settings = [f"data={config.data}", f"out={config.out}", f"folds.test={fold}"]
        if fold != config.folds.test:
            chain.run(f"null cohort, fold {fold} sealed", [PYTHON, "-m", "etl", "run", CONFIG, *settings])
        parts.append(_burdens(load_config(EtlConfig, CONFIG, settings)))
    people = pd.concat(parts)
    masks = [str(column) for column in people if column not in ("family", "sealed")]
    return {mask: _ratio(people, mask) for mask in masks}


def _burdens(config: EtlConfig) -> pd.DataFrame:
    """Burden of each person by mask, with family and whether they are sealed."""
    manifest = read_manifest(config.dataset)
    folds = np.arange(len(manifest.folds))
    columns = ["family", "indices", "values"]
    by_fold = [read_samples(config.dataset, manifest, [fold], columns) for fold in folds]
    samples = pd.concat(by_fold, ignore_index=True)
    sealed = np.repeat(folds == manifest.test_fold, [len(part) for part in by_fold])
    n_genes, masks = manifest.n_genes, [channel.name for channel in manifest.channels]
    burden = np.zeros((len(samples), len(masks)))
    for row, (indices, values) in enumerate(zip(samples["indices"], samples["values"], strict=True)):
        burden[row] = np.bincount(indices // n_genes, values, minlength=len(masks))
    people = pd.DataFrame(burden, columns=masks)
    return people.assign(family=samples["family"].to_numpy(), sealed=sealed)


def _ratio(people: pd.DataFrame, mask: str) -> dict[str, float]:
    """Ratio of means with a 95 % interval by bootstrap of families."""
    sums = people.groupby(["family", "sealed"])[mask].agg(["sum", "size"]).unstack(fill_value=0).to_numpy()
    random = np.random.default_rng(1)
    weights = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=BOOTSTRAPS)
    # The first row is the cohort itself; columns are sums and numbers of others and of sealed people.
    others, sealed, n_others, n_sealed = (np.vstack([np.ones(len(sums)), weights]) @ sums).T
    ratio = (sealed / n_sealed) / (others / n_others)
    low, high = np.quantile(ratio[1:], [0.025, 0.975])
    return {"ratio": round(float(ratio[0]), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _figures(table: pd.DataFrame, scores: list[Specificity]) -> dict[str, object]:
    counts = ("people_clean", "people_wrong", "variants_clean", "variants_wrong")
    return {
        "kinds": {
            kind: {"planted": int(row["planted"]), "found": int(row["found"])}
            for kind, row in table.iterrows()
        },
        **{name: sum(getattr(score, name) for score in scores) for name in counts},
        "people_by_group": _by_group(scores).to_dict("index"),
        "reasons_of_clean": _reasons(scores),
    }


def _by_group(scores: list[Specificity]) -> pd.DataFrame:
    return pd.concat([score.people_by_group for score in scores]).groupby("group").sum()


def _reasons(scores: list[Specificity]) -> dict[str, int]:
    total = pd.concat([pd.Series(score.reasons, dtype="int64") for score in scores])
    return {str(reason): int(n) for reason, n in total.groupby(level=0).sum().items()}


def _show(total: pd.DataFrame, scores: list[Specificity], ratios: dict[str, dict[str, float]]) -> None:
    shown = [
        (str(kind), str(row["planted"]), str(row["found"]), f"{100 * row['found'] / row['planted']:.1f} %")
        for kind, row in total.iterrows()
    ]
    show("planted and found", shown, ("kind", "planted", "found", "share"))
    figures = _figures(total, scores)
    wrong = [
        (f"clean {unit}", f"{figures[f'{unit}_clean']:,}", f"{figures[f'{unit}_wrong']:,}")
        for unit in ("people", "variants")
    ]
    groups = _by_group(scores)
    wrong += [(f"  {name}", f"{row['clean']:,}", f"{row['wrong']:,}") for name, row in groups.iterrows()]
    wrong += [(f"  dropped for {name}", "", f"{n:,}") for name, n in _reasons(scores).items()]
    show("dropped without cause", wrong, ("", "clean", "dropped"))
    told = [
        (mask, f"{found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f})")
        for mask, found in ratios.items()
    ]
    show("null cohort: burden of sealed over other people", told, ("mask", "ratio (95 % interval)"))


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    main()
