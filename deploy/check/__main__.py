"""Check all deployment files without a cluster: `make deploy-check`.

One table, then one sentence for each fault. Ends with 1 where there is a fault, and with 2 where the request
itself is wrong or `--values` finds values unset.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from deploy.check.owner_values import faults as faults_of_values
from deploy.check.owner_values import unset_sentences, used_names, values_file
from deploy.check.runner import Check, outcome, table

TARGETS = ("kubernetes", "containers", "dataproc", "databricks", "slurm")
ROOT = Path(__file__).resolve().parents[2]


def checks_of(target: str, root: Path) -> list[Check]:
    """All checks of one target: those of its module, and that its file of values can be read."""
    found: list[Check] = list(importlib.import_module(f"deploy.check.{target}").checks(root))
    values = values_file(root, target)
    if values.is_file():
        found.append(Check(target, "values.env: one KEY=value a line", lambda: faults_of_values(values)))
    return found


def run(targets: list[str], root: Path) -> int:
    """Run the checks of some targets, print what came of them, and give the exit status."""
    outcomes = [outcome(check) for target in targets for check in checks_of(target, root)]
    print("\n".join(table(outcomes)))
    faults = [fault for one in outcomes for fault in one.faults]
    for fault in faults:
        print(f"deploy-check: {fault}", file=sys.stderr)
    return 1 if faults else 0


def report_unset(targets: list[str], root: Path) -> int:
    """Name the values that the owner of each target has still to set; 2 where there are some."""
    sentences = [
        said
        for target in targets
        for said in unset_sentences(values_file(root, target), used_names(root, target))
    ]
    for sentence in sentences:
        print(f"deploy-check: {sentence}", file=sys.stderr)
    if not sentences:
        print(f"all values are set: {', '.join(targets)}")
    return 2 if sentences else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TARGET,...", help=f"some of {', '.join(TARGETS)}")
    parser.add_argument("--values", metavar="TARGET,...", help="only name the owner's values that are unset")
    given = parser.parse_args(arguments)
    targets = [name for name in (given.values or given.only or ",".join(TARGETS)).split(",") if name]
    unknown = [name for name in targets if name not in TARGETS]
    if unknown or not targets:
        parser.error(f"found target {', '.join(unknown) or 'nothing'}, wanted some of {', '.join(TARGETS)}")
    return report_unset(targets, ROOT) if given.values else run(targets, ROOT)


if __name__ == "__main__":
    sys.exit(main())
