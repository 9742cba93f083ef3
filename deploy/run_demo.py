"""`make demo`: simulate cohorts, run the ETL, train on two Horovod ranks, score new people, see the truth."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sklearn.metrics import roc_auc_score

from contract.config import load_config
from contract.dataset import read_samples
from contract.manifest import Manifest, read_manifest
from deploy.console import PYTHON, Chain, console, interval, read_json, show, write_figures
from deploy.findings import read_findings
from etl.config import EtlConfig
from etl.simulate import Truth, load_truth, oracle_auroc
from etl.simulate.recovery import recovered_defects
from train.readings import readings_path

CONFIG = "conf/etl/demo.yaml"
RUN = "build/demo/run"
NEW_CONFIG = "conf/etl/new_people.yaml"
SCORES = Path("build/demo/new/scores.parquet")


class NewPeople(NamedTuple):
    """What the bundle says of people of a second cohort."""

    scored: int
    abstained: int
    auroc: float
    """Of everybody scored, by their true status."""
    oracle_auroc: float


class Results(NamedTuple):
    """What the chain left behind."""

    manifest: Manifest
    metrics: dict
    audit: dict
    new: NewPeople


def main() -> None:
    """Run the chain, print the table, write build/figures/demo.json."""
    chain = Chain()
    # The cohort is drawn anew: readings of the one before are not its own.
    Path(readings_path(load_config(EtlConfig, CONFIG).dataset)).unlink(missing_ok=True)
    chain.run(
        "1 simulate a cohort with known truth", [PYTHON, "-m", "etl", "simulate", "conf/simulate/demo.yaml"]
    )
    chain.run("2 quality control and gene aggregation", [PYTHON, "-m", "etl", "run", CONFIG])
    chain.train("3 train on two ranks", "conf/train/demo.yaml", "run.overwrite=true")
    chain.evaluate("4 read the sealed test fold", RUN)
    chain.run("5 describe new people as the first cohort", [PYTHON, "-m", "etl", "run", NEW_CONFIG])
    SCORES.unlink(missing_ok=True)
    new_dataset = load_config(EtlConfig, NEW_CONFIG).dataset
    predict = [PYTHON, "-m", "train", "predict", f"{RUN}/bundle", new_dataset, str(SCORES)]
    chain.run("6 score them", predict)
    config = load_config(EtlConfig, CONFIG)
    truth = load_truth(Path(config.data) / "truth.json")
    manifest = read_manifest(config.dataset)
    new = judge_new_people(pd.read_parquet(SCORES), truth)
    results = Results(manifest, read_json(f"{RUN}/metrics.json"), read_json(f"{RUN}/audit.json"), new)
    tested = read_samples(config.dataset, manifest, [manifest.test_fold], ["sample_id"])
    oracle = oracle_auroc(truth, tested["sample_id"])
    defects = recovered_defects(
        truth,
        read_findings(config),
        min_kinship=config.resolved_profile().relatedness.min_kinship_family,
        min_duplicate=config.resolved_profile().relatedness.min_kinship_duplicate,
    )
    _show(results, defects, oracle)
    _write(chain, results, defects, oracle)
    console.print(f"quality control: {config.report}\ntraining:        {RUN}/report.html")


def judge_new_people(scores: pd.DataFrame, truth: Truth) -> NewPeople:
    """Count people scored and compare scores with the status that only the simulation knows."""
    cases = {person.sample_id for person in truth.people if person.status == "case"}
    return NewPeople(
        scored=len(scores),
        abstained=int(scores["abstain"].sum()),
        auroc=float(roc_auc_score(scores["sample_id"].isin(cases), scores["probability"])),
        oracle_auroc=oracle_auroc(truth, scores["sample_id"]),
    )


def difference(metrics: dict) -> dict:
    """AUROC of the network less that of logistic regression on the same people, features and covariates."""
    return metrics["auroc_differences"]["cnn - logistic"]


def _show(results: Results, defects: pd.DataFrame, oracle: float) -> None:
    counts, metrics, audit = results.manifest.counts, results.metrics, results.audit
    new = results.new
    show(
        "planted defects",
        [(str(row.kind), str(row.planted), str(row.found)) for row in defects.itertuples()],
        ("kind", "planted", "found"),
    )
    show(
        "the demo in figures",
        [
            ("people in → out", f"{counts['people_in']:,} → {counts['people_out']:,}"),
            ("variants in → out", f"{counts['variants_in']:,} → {counts['variants_out']:,}"),
            ("planted defects found", f"{defects['found'].sum()} of {defects['planted'].sum()}"),
            (f"AUROC of the CNN on {metrics['n_test']} test people", interval(metrics["cnn"]["auroc"])),
            ("AUROC of logistic regression on the same features", interval(metrics["logistic"]["auroc"])),
            ("the CNN less logistic regression, paired", interval(difference(metrics))),
            ("verdict of the leak audit", audit["verdict"]["sentence"]),
            ("AUROC of the oracle (true genetic liability)", f"{oracle:.3f}"),
            ("people of a second cohort scored, with a reason to abstain", f"{new.scored}, {new.abstained}"),
            ("AUROC of the CNN on them (oracle)", f"{new.auroc:.3f} ({new.oracle_auroc:.3f})"),
        ],
        ("", "value (95 % interval)"),
    )


def _write(chain: Chain, results: Results, defects: pd.DataFrame, oracle: float) -> None:
    manifest, metrics = results.manifest, results.metrics
    counts = manifest.counts
    write_figures(
        "demo",
        {
            "seconds": round(chain.seconds, 1),
            "peak_rss_mb": round(chain.peak_rss_mb),
            **{name: counts[name] for name in ("people_in", "people_out", "variants_in", "variants_out")},
            "genes": manifest.n_genes,
            "auroc": metrics["cnn"]["auroc"]["estimate"],
            "auroc_low": metrics["cnn"]["auroc"]["low"],
            "auroc_high": metrics["cnn"]["auroc"]["high"],
            "logistic_auroc": metrics["logistic"]["auroc"]["estimate"],
            "difference": difference(metrics)["estimate"],
            "difference_low": difference(metrics)["low"],
            "difference_high": difference(metrics)["high"],
            "verdict": results.audit["verdict"]["status"],
            "oracle_auroc": oracle,
            "people_scored": results.new.scored,
            "new_cohort_auroc": results.new.auroc,
            "new_cohort_oracle_auroc": results.new.oracle_auroc,
            "abstained": results.new.abstained,
            "defects_planted": int(defects["planted"].sum()),
            "defects_found": int(defects["found"].sum()),
        },
    )


if __name__ == "__main__":
    main()
