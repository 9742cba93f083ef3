"""Judge the run that a configuration names, once: evaluate_task.py SOURCE CONF.yaml [key=value ...]."""

from __future__ import annotations

import os
import subprocess
import sys


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        found = " ".join(arguments) or "nothing"
        raise SystemExit(f"evaluate_task: found {found}, wanted SOURCE CONF.yaml [key=value ...]")
    source, *words = arguments
    # A process of its own: the command ends its process where something is wrong.
    command = [sys.executable, "-m", "train", "evaluate", *words]
    done = subprocess.run(command, cwd=source, env={**os.environ, "PYTHONPATH": source}, check=False)
    if done.returncode:
        raise SystemExit(f"evaluate_task: ended with status {done.returncode}; what was wrong stands above")


if __name__ == "__main__":
    main(sys.argv[1:])
