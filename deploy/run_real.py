"""`make real`: 1000 Genomes people, Europeans against the rest, and again with shuffled status."""

from contract.config import load_config
from contract.manifest import read_manifest
from deploy.console import PYTHON, Chain, console, interval, read_json, show, write_figures
from etl.config import EtlConfig

CONFIG, TRAINING = "conf/etl/real.yaml", "conf/train/real.yaml"
RUN, NULL = "build/real/run", "build/real_null"
NULL_RUN = f"{NULL}/run"


def main() -> None:
    """Run the chain, print the table, write build/figures/real.json."""
    chain = Chain()
    chain.run("1 quality control and gene aggregation", [PYTHON, "-m", "etl", "run", CONFIG])
    chain.train("2 train on two ranks", TRAINING, "run.overwrite=true")
    chain.evaluate("3 read the sealed test fold", RUN)
    null = [f"out={NULL}", "samples.permute_status=1"]
    chain.run("4 the same with status shuffled before it", [PYTHON, "-m", "etl", "run", CONFIG, *null])
    trained = (f"data.dataset={NULL}/dataset", f"run.out={NULL_RUN}", "run.overwrite=true")
    chain.train("5 train on it", TRAINING, *trained)
    chain.evaluate("6 read its sealed test fold", NULL_RUN)
    config = load_config(EtlConfig, CONFIG)
    manifest = read_manifest(config.dataset)
    metrics, permuted = read_json(f"{RUN}/metrics.json"), read_json(f"{NULL_RUN}/metrics.json")
    counts = manifest.counts
    show(
        "1000 Genomes, Europeans against the rest",
        [
            ("people in → out", f"{counts['people_in']:,} → {counts['people_out']:,}"),
            ("variants in → out", f"{counts['variants_in']:,} → {counts['variants_out']:,}"),
            (f"AUROC of the CNN on {metrics['n_test']} test people", interval(metrics["cnn"]["auroc"])),
            ("AUROC of logistic regression on the same features", interval(metrics["logistic"]["auroc"])),
            ("AUROC of the CNN, status shuffled before quality control", interval(permuted["cnn"]["auroc"])),
        ],
        ("", "value (95 % interval)"),
    )
    write_figures(
        "real",
        {
            "seconds": round(chain.seconds, 1),
            "peak_rss_mb": round(chain.peak_rss_mb),
            **{name: counts[name] for name in ("people_in", "people_out", "variants_in", "variants_out")},
            "genes": manifest.n_genes,
            "auroc": metrics["cnn"]["auroc"]["estimate"],
            "auroc_low": metrics["cnn"]["auroc"]["low"],
            "auroc_high": metrics["cnn"]["auroc"]["high"],
            "logistic_auroc": metrics["logistic"]["auroc"]["estimate"],
            "permuted_auroc_low": permuted["cnn"]["auroc"]["low"],
            "permuted_auroc_high": permuted["cnn"]["auroc"]["high"],
        },
    )
    console.print(f"quality control: {config.report}\ntraining:        {RUN}/report.html")


if __name__ == "__main__":
    main()
