import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
ENGINES = ("hail", "pyspark", "torch", "petastorm", "horovod", "etl", "train", "plotly", "jinja2")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache", "--config", str(PROJECT / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_imports__keep_to_the_declared_edges():
    done = lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("contract/extra.py", "import pyspark", "The contract needs neither half"),
        ("contract/extra.py", "import plotly", "Only contract.page draws"),
        ("etl/extra.py", "import contract\nimport train", "The ETL knows nothing of training"),
        ("etl/extra.py", "import cyvcf2", "Only etl.ingest.htslib knows cyvcf2"),
        ("train/extra.py", "import hail", "Training knows nothing of Hail and Spark"),
        ("train/extra.py", "import horovod.torch", "Only train.distributed knows Horovod"),
        ("train/extra.py", "import petastorm", "Only train.petastorm_reader knows Petastorm"),
    ],
)
def test_imports__a_forbidden_edge_is_found(tmp_path, module, line, broken):
    for package in ("contract", "etl", "train"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / module).write_text(line + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert any(broken in row and "BROKEN" in row for row in done.stdout.splitlines()), done.stdout


def test_contract__imports_no_engine():
    code = (
        "import sys, pkgutil, importlib, contract\n"
        "for found in pkgutil.iter_modules(contract.__path__):\n"
        "    importlib.import_module(f'contract.{found.name}')\n"
        f"print([name for name in {ENGINES!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
