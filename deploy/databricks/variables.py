"""The owner's values as the environment of the Databricks CLI: `python -m deploy.databricks.variables`.

Prints DATABRICKS_HOST=... and BUNDLE_VAR_name=... lines. Where values are unset it ends with status 2 and a
sentence for each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.check.owner_values import read_values, unset_sentences, used_names, values_file

ROOT = Path(__file__).resolve().parents[2]


def environment(values: dict[str, str]) -> dict[str, str]:
    """What the CLI takes from the environment: the workspace, and the variables of the bundle."""
    return {
        "DATABRICKS_HOST" if name == "HOST" else f"BUNDLE_VAR_{name.lower()}": value
        for name, value in values.items()
    }


def main() -> int:
    path = Path(os.environ.get("VALUES") or values_file(ROOT, "databricks"))
    if sentences := unset_sentences(path, used_names(ROOT, "databricks")):
        for sentence in sentences:
            print(f"databricks: {sentence}", file=sys.stderr)
        return 2
    for name, value in environment(read_values(path)).items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
