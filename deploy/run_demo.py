"""`make demo`: simulate a cohort, run the ETL, train on two Horovod ranks, compare with the truth."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from contract.config import load_config
from contract.dataset import read_samples
from contract.manifest import Manifest, read_manifest
from deploy.console import PYTHON, Chain, console, interval, read_json, show, write_figures
from deploy.findings import read_findings
from etl.config import EtlConfig
from etl.simulate import load_truth, oracle_auroc
from etl.simulate.recovery import recovered_defects
from train.readings import readings_path

CONFIG = "conf/etl/demo.yaml"
RUN = "build/demo/run"


class Results(NamedTuple):
    """What the chain left behind."""

    manifest: Manifest
    metrics: dict
    audit: dict


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
    config = load_config(EtlConfig, CONFIG)
    truth = load_truth(Path(config.data) / "truth.json")
    manifest = read_manifest(config.dataset)
    results = Results(manifest, read_json(f"{RUN}/metrics.json"), read_json(f"{RUN}/audit.json"))
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


def difference(metrics: dict) -> dict:
    """AUROC of the network less that of logistic regression on the same people, features and covariates."""
    return metrics["auroc_differences"]["cnn - logistic"]


def _show(results: Results, defects: pd.DataFrame, oracle: float) -> None:
    counts, metrics, audit = results.manifest.counts, results.metrics, results.audit
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
            "defects_planted": int(defects["planted"].sum()),
            "defects_found": int(defects["found"].sum()),
        },
    )


if __name__ == "__main__":
    main()
