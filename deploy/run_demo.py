"""`make demo`: simulate a cohort, run the ETL, train on two Horovod ranks, compare with the truth."""

from pathlib import Path

import pandas as pd

from contract.config import load_config
from contract.dataset import read_samples
from contract.manifest import Manifest, read_manifest
from deploy.console import PYTHON, Chain, console, interval, read_json, show, write_figures
from deploy.findings import read_findings
from etl.config import EtlConfig
from etl.simulate import load_truth, oracle_auroc
from etl.simulate.recovery import recovered_defects

CONFIG = "conf/etl/demo.yaml"
RUN = "build/demo/run"


def main() -> None:
    """Run the chain, print the table, write build/figures/demo.json."""
    chain = Chain()
    chain.run(
        "1 simulate a cohort with known truth", [PYTHON, "-m", "etl", "simulate", "conf/simulate/demo.yaml"]
    )
    chain.run("2 quality control and gene aggregation", [PYTHON, "-m", "etl", "run", CONFIG])
    chain.train("3 train on two ranks", "conf/train/demo.yaml", "run.overwrite=true")
    chain.evaluate("4 read the sealed test fold", RUN)
    config = load_config(EtlConfig, CONFIG)
    truth = load_truth(Path(config.data) / "truth.json")
    manifest, metrics = read_manifest(config.dataset), read_json(f"{RUN}/metrics.json")
    tested = read_samples(config.dataset, manifest, [manifest.test_fold], ["sample_id"])
    oracle = oracle_auroc(truth, tested["sample_id"])
    defects = recovered_defects(
        truth,
        read_findings(config),
        min_kinship=config.resolved_profile().relatedness.min_kinship_family,
        min_duplicate=config.resolved_profile().relatedness.min_kinship_duplicate,
    )
    _show(manifest.counts, metrics, defects, oracle)
    _write(chain, manifest, metrics, defects, oracle)
    console.print(f"quality control: {config.report}\ntraining:        {RUN}/report.html")


def _show(counts: dict[str, int], metrics: dict, defects: pd.DataFrame, oracle: float) -> None:
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
            ("AUROC of the oracle (true genetic liability)", f"{oracle:.3f}"),
        ],
        ("", "value (95 % interval)"),
    )


def _write(chain: Chain, manifest: Manifest, metrics: dict, defects: pd.DataFrame, oracle: float) -> None:
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
            "oracle_auroc": oracle,
            "defects_planted": int(defects["planted"].sum()),
            "defects_found": int(defects["found"].sum()),
        },
    )


if __name__ == "__main__":
    main()
