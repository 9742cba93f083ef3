import ast
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from contract.config import load_config
from contract.errors import InputError
from etl import pipeline
from etl.config import EtlConfig
from etl.pipeline import plan
from etl.steps.table import DATASET_MODULES

PROJECT = Path(__file__).resolve().parents[2]


def test_plan__absent_input_is_told_by_name(tmp_path):
    vcf = tmp_path / "cohort.vcf.bgz"
    vcf.touch()
    overrides = [f"input.vcf={vcf}", f"samples.path={tmp_path}/absent.tsv", f"out={tmp_path}"]
    config = load_config(EtlConfig, PROJECT / "conf/etl/demo.yaml", overrides)
    with pytest.raises(InputError, match=r"absent\.tsv: input: found no readable file .*, wanted a file"):
        plan(config)


def imported_from_contract(files: Iterable[Path]) -> set[str]:
    """Modules of contract/ that files import, and those that these import."""
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            if name.startswith("contract.") and name not in found:
                found.add(name)
                waiting.append(PROJECT / f"{name.replace('.', '/')}.py")
    return {name.removeprefix("contract.") for name in found}


def test_dataset_modules__are_what_the_step_imports():
    export = sorted((PROJECT / "etl/export").glob("*.py")) + sorted((PROJECT / "etl/annotate").glob("*.py"))
    found = imported_from_contract([*export, PROJECT / "etl/steps/dataset.py"])
    assert found == set(DATASET_MODULES)


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("contract/page/html.py", ["report"]),
        ("contract/example.py", []),
        ("contract/schema.py", ["dataset", "report"]),
        ("etl/report/html.py", ["report"]),
    ],
)
def test_plan__changed_code_runs_the_steps_that_it_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, again: list[str]
):
    for package in ("etl", "contract"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cohort.vcf.bgz", "samples.tsv", "genes.gtf", "constraint.tsv"):
        (tmp_path / name).touch()
    overrides = [f"data={tmp_path}", f"out={tmp_path}/out"]
    config = load_config(EtlConfig, PROJECT / "conf/etl/demo.yaml", overrides)
    monkeypatch.setattr(pipeline, "PACKAGE", tmp_path / "etl")
    before = {status.step.name: status.digest for status in plan(config)}
    with (tmp_path / changed).open("a") as stream:
        stream.write("# another line\n")
    assert [status.step.name for status in plan(config) if before[status.step.name] != status.digest] == again
