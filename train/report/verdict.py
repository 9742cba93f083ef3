"""What stands first: whether the score can be believed, in the audit's words or in its absence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from train.record import Record
from train.report.words import sentence

LOOKS = {"passed": "pass", "failed": "fail", "not_possible": "warn"}
"""Class of the style sheet by a check's status."""
STATUS_WORDS = {"passed": "passed", "failed": "failed", "not_possible": "not possible"}


@dataclass(frozen=True)
class Check:
    """A check of the audit in words."""

    title: str
    status: str
    look: str
    found: str
    wanted: str
    means: str
    advice: str


@dataclass(frozen=True)
class Verdict:
    """The first section: a sentence, what it means and what to do, and the checks that did not pass."""

    look: str
    sentence: str
    means: str = ""
    advice: str = ""
    command: str = ""
    people: str = ""
    checks: list[Check] = field(default_factory=list)

    @property
    def failed(self) -> list[Check]:
        """Checks that failed."""
        return [check for check in self.checks if check.look == "fail"]


def verdict_of(record: Record) -> Verdict:
    """The audit's verdict; that there is none, where the run or its dataset was not audited."""
    command = f"python -m train audit {record.folder}"
    if record.audit is None:
        return Verdict(
            "warn",
            "This run was not audited.",
            "Whether the score finds genetics, or batch, call rate, relatives or ancestry, is not known.",
            "Audit it before the score is quoted.",
            command,
        )
    if is_of_another_dataset(record, record.audit):
        return Verdict(
            "fail",
            "The audit in this folder is of another dataset.",
            "It says nothing of this run.",
            "Audit this run.",
            command,
        )
    verdict = record.audit["verdict"]
    look = {"passed": "pass", "failed": "fail"}.get(verdict["status"], "warn")
    people = {
        "sealed": "Checks that look at scores used the sealed fold.",
        "out_of_fold": "Checks that look at scores used people outside the sealed fold, each scored by a fit "
        "without their fold.",
        "validation": "Checks that look at scores used the validation people: they alone have scores by a "
        "network with convolutions that did not learn from them. They told training when to stop.",
    }.get(str(record.audit.get("people")), "")
    return Verdict(
        look,
        sentence(verdict["sentence"]),
        sentence(verdict.get("means")),
        sentence(verdict.get("advice")),
        people=people,
        checks=[_check(entry) for entry in record.audit.get("checks", [])],
    )


def is_of_another_dataset(record: Record, content: Mapping[str, Any]) -> bool:
    """Whether a file names the digest of another manifest than that of the run's dataset."""
    found = content.get("manifest_digest")
    return found is not None and found != record.facts["manifest_digest"]


def _check(entry: Mapping[str, Any]) -> Check:
    status = str(entry["status"])
    return Check(
        title=str(entry.get("title") or str(entry["name"]).replace("_", " ")),
        status=STATUS_WORDS.get(status, status),
        look=LOOKS.get(status, "warn"),
        found=str(entry.get("found") or ""),
        wanted=str(entry.get("wanted") or ""),
        means=sentence(entry.get("means")),
        advice=sentence(entry.get("advice")),
    )
