"""From findings to one sentence: whether the score can be believed, what that means, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import norm

from train.audit.auroc import Measure
from train.audit.registry import CHECKS
from train.audit.rules import Finding

TITLES = {check.name: check.title for check in CHECKS}
PEOPLE = {
    "sealed": "people of the sealed fold",
    "out_of_fold": "people outside the seal, out of fold",
    "validation": "validation people, who told training when to stop",
}

SURE = {"sealed": 0.95, "out_of_fold": 0.99, "validation": 0.99}
"""Level of the interval that has to leave 0.5 out before anything counts as found. People outside the seal
also chose the weights of priors, or the epoch: on 240 cohorts without effect the 95 % interval of scores out
of fold lay above 0.5 in 5 %, not in 2.5 %."""


def weigh(findings: Mapping[str, Finding], auroc: Measure | None, people: str | None) -> dict[str, str]:
    """The verdict: status (failed, nothing_found, passed or not_judged), sentence, means, advice.

    Parameters
    ----------
    findings
        By name of the check.
    auroc
        Of the judged score; null where there is none.
    people
        Whose scores were judged, a key of `PEOPLE`.
    """
    failed = [name for name, finding in findings.items() if finding.status == "failed"]
    possible = [name for name, finding in findings.items() if finding.status != "not_possible"]
    told = f"{len(possible) - len(failed)} of {len(possible)} checks passed"
    if skipped := len(findings) - len(possible):
        told += f", {skipped} {'was' if skipped == 1 else 'were'} not possible"
    number = f"AUROC {auroc} on {PEOPLE[str(people)]}" if auroc is not None else "no score"
    if failed:
        names = "; ".join(TITLES.get(name, name) for name in failed)
        return {
            "status": "failed",
            "sentence": f"Don't believe the score: {len(failed)} of {len(possible)} checks failed ({names}).",
            "means": _sentences(finding.means for finding in map(findings.__getitem__, failed))
            + f" {number} is not evidence of disease.",
            "advice": _sentences(finding.advice for finding in map(findings.__getitem__, failed)),
        }
    if auroc is None:
        return {
            "status": "not_judged",
            "sentence": f"Nothing to judge yet: {told}; there are no scores.",
            "means": "data and folds were looked at, the network was not",
            "advice": "fit with out-of-fold scores, or evaluate the run",
        }
    level = SURE[str(people)]
    unsure = auroc.deviate() <= float(norm.ppf((1 + level) / 2))
    if unsure or explained_by_covariates(findings):
        beside = "" if unsure else " beside the covariates"
        wider = f" (the {level:.0%} interval holds 0.5)" if unsure and auroc.low > 0.5 else ""
        return {
            "status": "nothing_found",
            "sentence": f"Nothing found{beside}: {number}{wider}; {told}.",
            "means": "no signal of the genes that chance could not give"
            if not beside
            else "people with the same covariates are not told apart: the genes add nothing that can be seen",
            "advice": "no claim can be made; more people, or genes weighted by what is known, may show more",
        }
    return {
        "status": "passed",
        "sentence": f"The score stands: {number}; {told}.",
        "means": "no check found leak, batch, ancestry or calling behind it",
        "advice": "report it with its interval, and look for it in another cohort",
    }


def explained_by_covariates(findings: Mapping[str, Finding]) -> bool:
    """Whether the covariates explain the score."""
    covariates = findings.get("covariates_only")
    return bool(covariates and covariates.numbers.get("explains"))


def verdict_text(audit: Mapping[str, Any]) -> str:
    """The verdict for the command line: sentence, meaning, advice, and each check that did not pass."""
    verdict = audit["verdict"]
    lines = [
        f"VERDICT: {verdict['sentence']}",
        f"means:   {verdict['means']}",
        f"to do:   {verdict['advice']}",
    ]
    lines += [
        f"failed:  {check['title']}: {check['found']}"
        for check in audit["checks"]
        if check["status"] == "failed"
    ]
    return "\n".join(lines)


def _sentences(parts: Any) -> str:
    distinct = dict.fromkeys(part for part in parts if part)
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in distinct)
