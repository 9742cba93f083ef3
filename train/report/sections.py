"""Which panels stand in which section, and what is said where there are none."""

from __future__ import annotations

from contract.page.panel import Panel
from train.metrics import Values
from train.record import Record
from train.report.curves import calibration_panel, curve_panels, decision_panel, learning_panels, score_panel
from train.report.genes import gene_panels
from train.report.verdict import is_of_another_dataset
from train.report.whiskers import ladder_panels, strata_of, strata_panel

NETWORK = "cnn"


def scores_by_model(record: Record) -> dict[str, Values]:
    """Probabilities of the sealed fold's people by model, the network first."""
    if record.predictions is None:
        return {}
    names = [name for name in record.predictions if name in record.metrics or name == NETWORK]
    return {
        str(name): record.predictions[name].to_numpy(dtype=float)
        for name in sorted(names, key=lambda name: name != NETWORK)
    }


def report_panels(record: Record) -> dict[str, list[Panel]]:
    """Panels by section, empty where there is nothing to draw."""
    scores, strata = scores_by_model(record), strata_of(usable(record, record.audit))[0]
    panels: dict[str, list[Panel]] = {"curves": [], "calibration": [], "scores": []}
    if record.predictions is not None:
        is_case_M = record.predictions["is_case"].to_numpy()
        panels["curves"] = curve_panels(is_case_M, scores)
        panels["calibration"] = [calibration_panel(is_case_M, scores[NETWORK])]
        panels["scores"] = [score_panel(is_case_M, scores[NETWORK])]
    curve = record.metrics.get("decision_curve")
    ladder, genes = usable(record, record.ladder), record.known_genes
    threshold = (record.explanations or {}).get("association", {}).get("threshold_log10_p")
    return panels | {
        "ladder": ladder_panels(ladder) if ladder else [],
        "decision": [decision_panel(curve)] if curve else [],
        "strata": [strata_panel(strata)] if strata else [],
        "genes": gene_panels(genes, threshold) if genes is not None else [],
        "learning": learning_panels(record.history, record.metrics.get("best_epoch")),
    }


def usable(record: Record, content: dict[str, object] | None) -> dict[str, object] | None:
    """A file's content where it is there and of the run's own dataset."""
    return None if content is None or is_of_another_dataset(record, content) else content


def absent_texts(record: Record) -> dict[str, str]:
    """What a section says in place of what it lacks: why, and the command that makes it."""
    folder = record.folder
    no_ladder = f"No ladder was made for this run: python -m train ladder {folder}/config.yaml makes it."
    no_audit = f"Not audited: python -m train audit {folder} does it."
    no_scores = (
        f"predictions.parquet is not in the run's folder: python -m train evaluate {folder} writes it."
    )
    no_genes = f"Not explained: python -m train explain {folder} does it."
    return {
        "ladder": "The ladder in this folder is of another dataset." if record.ladder else no_ladder,
        "audit": "The audit in this folder is of another dataset." if record.audit else no_audit,
        "strata": "The audit measured no strata." if usable(record, record.audit) else no_audit,
        "curves": no_scores,
        "calibration": no_scores,
        "scores": no_scores,
        "decision": "metrics.json holds no decision curve: the run was evaluated by an earlier version.",
        "genes": "genes.parquet measures no gene." if record.genes is not None else no_genes,
        "learning": "No epochs were recorded.",
    }
