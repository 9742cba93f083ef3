"""The audit of a run: every check looks, a verdict weighs, audit.json keeps both."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contract.config import digest
from contract.provenance import software_versions
from train.audit.evidence import gather
from train.audit.registry import CHECKS
from train.audit.verdict import weigh
from train.run_folder import PACKAGES

AUDIT_NAME = "audit.json"


def audit_run(run: Path, null_run: Path | None = None) -> dict[str, Any]:
    """Look at a run with every check and write audit.json into its folder.

    Labels of sealed people are looked at only where the fold was read before, by `train.evaluate`.

    Parameters
    ----------
    run
        Folder of a run that was fitted; its out-of-fold scores are judged, else those of its evaluation.
    null_run
        A run on the same cohort with `samples.permute_status` in its ETL; null: not looked at.

    Returns
    -------
    dict
        `verdict` (status, sentence, means, advice), `checks` (name, title, status, found, wanted, means,
        advice, numbers), `people`, `auroc`, `manifest_digest`, `versions`.

    Raises
    ------
    InputError
        If there is no bundle, or the dataset is not the one that was trained on.
    """
    evidence = gather(run, null_run)
    findings = {check.name: check.look(evidence) for check in CHECKS}
    judged = evidence.judged
    auroc = judged.auroc() if judged else None
    people = judged.people if judged else None
    audit = {
        "verdict": weigh(findings, auroc, people),
        "checks": [
            {"name": check.name, "title": check.title, **asdict(findings[check.name])} for check in CHECKS
        ],
        "people": people,
        "auroc": auroc.numbers() if auroc else None,
        "manifest_digest": digest(evidence.manifest),
        "versions": software_versions(PACKAGES),
    }
    partial = run / f"{AUDIT_NAME}.partial"
    partial.write_text(json.dumps(audit, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(run / AUDIT_NAME)
    return audit
