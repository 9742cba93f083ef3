"""Checks of deploy/slurm without a cluster."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from deploy.check.owner_values import read_values
from deploy.check.runner import Check, LeftOutError, program
from deploy.slurm.cluster import SlurmError, missing, slurm_cluster

TARGET = "slurm"


def checks(root: Path) -> list[Check]:
    """All checks of this target."""
    folder = root / "deploy" / "slurm"
    return [
        Check(TARGET, "ShellCheck on all scripts", lambda: shellcheck_faults(root), ("shellcheck",)),
        Check(TARGET, "values.env: every value is used", lambda: unused_values(folder)),
        Check(TARGET, "#SBATCH lines, by sbatch --test-only on a real SLURM", lambda: sbatch_faults(folder)),
    ]


def scripts(folder: Path) -> list[Path]:
    """Everything in a folder that a shell runs."""
    return sorted([*folder.glob("*.sh"), *folder.glob("*.sbatch"), *folder.glob("reach/*")])


def shellcheck_faults(root: Path) -> list[str]:
    """ShellCheck's sentences, each with file and line."""
    files = [str(path.relative_to(root)) for path in scripts(root / "deploy" / "slurm")]
    words = [program("shellcheck") or "shellcheck", "--external-sources", "--format=gcc", *files]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line]


def unused_values(folder: Path) -> list[str]:
    """One sentence for each value that no script uses: a name that is spelt otherwise than in values.env."""
    values = folder / "values.env"
    text = "\n".join(path.read_text(encoding="utf-8") for path in scripts(folder))
    text = re.sub(r"(?m)^names='[^']+'", "", text)  # the list of all
    # submit.sh puts names together: value NODES is ETL_NODES or TRAIN_NODES.
    used = [
        name for name in read_values(values) if name in text or f"value {name.partition('_')[2]})" in text
    ]
    return [
        f"{values}: {name}: found in no script of {folder}, wanted it used or taken out"
        for name in read_values(values)
        if name not in used
    ]


def sbatch_faults(folder: Path) -> list[str]:
    """What SLURM says against the options in the scripts. Raises LeftOutError where there is no SLURM."""
    if absent := missing():
        raise LeftOutError(f"{', '.join(absent)} is not installed (Debian: slurm-wlm, munge)")
    faults = []
    try:
        with slurm_cluster() as cluster:
            for path in sorted(folder.glob("*.sbatch")):
                words = ("sbatch", "--test-only", "--mem=1000", str(path), "conf.yaml")
                done = subprocess.run(
                    words, env=cluster.environment, capture_output=True, text=True, timeout=60, check=False
                )
                if done.returncode:
                    said = " ".join(done.stderr.split())
                    faults.append(
                        f"{path}: found options that SLURM refuses, wanted such as it takes: {said}"
                    )
    except SlurmError as error:
        raise LeftOutError(str(error)) from error
    return faults
