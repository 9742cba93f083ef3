"""What audit, ladder and explain leave in a run's folder, of any size. Nobody's numbers mean anything."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

CHANNELS = ("plof", "damaging_missense", "other_missense", "synonymous")
MODELS = (
    *("network", "spike_slab", "burden_weights", "elastic_net", "ridge", "boosted_trees", "paper"),
    *("network_no_convolution", "total_count", "batch", "covariates"),
)


def interval(estimate: float, half: float = 0.02) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half}


def example_audit(manifest_digest: str, status: str = "failed") -> dict[str, object]:
    strata = [
        {
            **{"batch": batch, "ancestry": ancestry, "people": n_cases + 80, "cases": n_cases},
            **interval(0.55 + 0.03 * number, 0.06),
        }
        for number, (batch, ancestry, n_cases) in enumerate(
            [("batch1", "nfe", 60), ("batch1", "fin", 30), ("batch2", "nfe", 70), ("batch2", "fin", 4)]
        )
    ]
    failed = status == "failed"
    return {
        "verdict": {
            "status": status,
            "sentence": "The score finds batch, not genetics."
            if failed
            else "Nothing speaks against the score.",
            "means": "Within a batch it tells cases from controls no better than chance.",
            "advice": "Balance batches and call them together, then train again.",
        },
        "checks": [
            {
                **{"name": "relatives", "title": "Relatives across folds", "status": "passed"},
                **{
                    "found": "0 pairs above 0.0884",
                    "wanted": "none",
                    "means": "Nobody's relative is judged.",
                },
                **{"advice": "", "numbers": {"pairs": 0}},
            },
            {
                **{"name": "strata", "title": "AUROC within batch and ancestry"},
                "status": "failed" if failed else "passed",
                **{"found": "0.553 within, 0.798 over all", "wanted": "at least half of the gain"},
                **{"means": "the score's gain lies between strata", "advice": "look at batches"},
                "numbers": {"by_stratum": strata},
            },
            {
                **{"name": "permuted", "title": "Status permuted before the ETL", "status": "not_possible"},
                **{"found": "no null dataset", "wanted": "AUROC that contains 0.5", "means": "Not known."},
                **{"advice": "Make one with samples.permute_status.", "numbers": {}},
            },
        ],
        "people": "out_of_fold",
        "manifest_digest": manifest_digest,
        "versions": {},
    }


def example_ladder(manifest_digest: str) -> dict[str, object]:
    estimates = dict(zip(MODELS, np.linspace(0.76, 0.5, len(MODELS)), strict=True))
    rows = [
        {
            **{"model": name, "auroc": interval(value), "average_precision": interval(value)},
            **{"auroc_by_seed": [value - 0.004, value, value + 0.003], "seconds": 12.5},
            **{"tuned": "C = 0.03" if name == "ridge" else None, "note": None},
        }
        for name, value in estimates.items()
    ]
    rows.append(
        {
            **{"model": "polygenic_score", "auroc": None, "average_precision": None, "auroc_by_seed": []},
            **{"seconds": None, "tuned": None, "note": "no score was given"},
        }
    )
    differences = [
        {"rival": name, "metric": "auroc", **interval(estimates["network"] - value, 0.012)}
        for name, value in estimates.items()
        if name != "network"
    ]
    return {
        **{"folds": list(range(9)), "seeds": [1, 2, 3], "rows": rows, "differences": differences},
        **{"n_people": 900, "n_cases": 415, "manifest_digest": manifest_digest, "versions": {}},
    }


def example_genes(n: int, symbol: str = "GENE") -> pd.DataFrame:
    random = np.random.default_rng(3)
    place = np.arange(n)
    inclusion = random.beta(0.15, 6, n)
    inclusion[:: max(n // 12, 1)] = random.uniform(0.5, 1, len(inclusion[:: max(n // 12, 1)]))
    attribution = inclusion * random.uniform(0.5, 1.5, n) / 40
    contig = place * 23 // n
    return pd.DataFrame(
        {
            **{"gene_id": [f"ENSG{number:011d}" for number in place]},
            **{"symbol": [f"{symbol}{number}" if number % 7 else None for number in place]},
            **{"contig": [f"chr{'X' if number == 22 else number + 1}" for number in contig]},
            **{"start": 1_000 * (place + 1), "inclusion": inclusion},
            **{"inclusion_low": inclusion * 0.7, "inclusion_high": np.minimum(inclusion * 1.2, 1)},
            **{"attribution": attribution, "attribution_low": attribution * 0.8},
            **{"attribution_high": attribution * 1.2},
            "rank": (-inclusion).argsort().argsort() + 1,
            "burden_log10_p": random.exponential(0.4, n) + 6 * inclusion * random.random(n),
            **{
                f"effect_{name}": inclusion * weight
                for name, weight in zip(CHANNELS, (1, 0.5, 0.1, 0), strict=True)
            },
        }
    )


def example_explanations(n_genes: int) -> dict[str, object]:
    return {
        "baseline": "training mean",
        "people": {"explained": 900, "outside_sealed_fold": 900},
        "completeness": {"worst_error": 0.004, "median_error": 0.0003, "passed": True},
        "randomisation": {"correlation": 0.04, "limit": 0.3, "passed": True},
        "association": {
            "genes_tested": n_genes,
            "genes_above_threshold": 3,
            "threshold_log10_p": -np.log10(0.05 / n_genes),
        },
        "agreement": {"genes": n_genes, "spearman": 0.41, "top": []},
        "lists": [
            {
                **{"name": "known.txt", "entries": 40, "on_axis": 35, "in_universe": 33, "universe": n_genes},
                **{"top": [{"top": 20, "overlap": 4, "expected": 0.7, "p": 0.003}], "rank_p": 0.01},
            }
        ],
    }


def add_everything(run: Path, n_genes: int = 2_500, status: str = "failed") -> Path:
    """Lay everything optional into an evaluated run's folder; metrics.json gets what later versions write."""
    facts = json.loads((run / "bundle/bundle.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    added = {
        "increments": {
            "auroc": interval(0.25),
            "brier": {"estimate": None, "note": "the scores hardly vary"},
        },
        "adjusted": {"auroc": interval(0.78), "difference": interval(-0.01)},
        "decision_curve": [
            {"threshold": at, "network": 0.5 - 0.4 * at, "all": 0.52 - at / (1 - at) * 0.48, "none": 0.0}
            for at in np.arange(1, 100) / 100
        ],
        "operating_point": {
            **{"threshold": 0.47, "chosen_on": "people outside the sealed fold (Youden)"},
            **{"sensitivity": interval(0.7), "specificity": interval(0.8)},
        },
        "readings": [
            {
                **{"time": "2031-05-06T07:08:09.000001+00:00", "run": "runs/first", "model": "paper"},
                **{"auroc": 0.71, "recorded": "beside the dataset"},
            },
            {"time": "2031-05-07T07:08:09+00:00", "run": str(run), "model": "gene_cnn", "auroc": None},
        ],
    }
    digest = facts["manifest_digest"]
    files = {
        "metrics.json": metrics | added,
        "audit.json": example_audit(digest, status),
        "ladder.json": example_ladder(digest),
        "explanations.json": example_explanations(n_genes),
        "bundle/calibration.json": {"slope": 0.84, "intercept": -0.05, "n": 900},
    }
    for name, content in files.items():
        (run / name).write_text(json.dumps(content))
    example_genes(n_genes).to_parquet(run / "genes.parquet", index=False)
    return run
