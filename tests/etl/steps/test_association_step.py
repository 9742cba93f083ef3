from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from contract.config import build_config, digest
from contract.example import write_example
from contract.manifest import read_manifest
from etl.associate.burden_tests import ASSOCIATION_SCHEMA
from etl.config import EtlConfig
from etl.pipeline import _facts_told
from etl.steps.association import read_associations, work
from etl.steps.base import Run
from etl.workspace import StepResult, Workspace
from tests.etl.mini import MiniInputs


def run_of(mini: MiniInputs, tmp_path: Path, **example: object) -> Run:
    """The step on a made-up dataset with the channels of the preset."""
    config = build_config(EtlConfig, mini.settings, "test")
    write_example(config.dataset, **example)
    return Run(config, config.resolved_profile(), Workspace(config.work), tmp_path)


@pytest.fixture
def done(mini: MiniInputs, tmp_path: Path) -> tuple[Run, StepResult]:
    run = run_of(mini, tmp_path, n_samples=1_000, n_genes=60, density=0.1)
    return run, work(run)


def test_work__writes_the_table_and_tells_lambda_of_synonymous(done: tuple[Run, StepResult]):
    run, result = done
    table = read_associations(run.config.associations)
    assert len(table) == result.facts["tests"] == 4 * 60
    inflation = {each["channel"]: each for each in result.facts["inflation"]}
    assert list(inflation) == ["plof", "damaging_missense", "other_missense", "synonymous"]
    told = _facts_told(result.facts)
    assert f"lambda synonymous {round(inflation['synonymous']['value'], 3)}" in told
    assert "plof" not in told
    people = result.facts["cases"] + result.facts["controls"]
    assert people == 450, "a fold of ten is sealed, and of two siblings one is tested"
    assert result.fitted_on == {"burden association": "450 unrelated people outside the test fold"}


def test_work__the_file_says_what_it_was_made_of_and_leaves_no_other(done: tuple[Run, StepResult]):
    run, result = done
    found = pq.read_schema(run.config.associations)
    assert found.remove_metadata().equals(ASSOCIATION_SCHEMA.remove_metadata())
    told = {name.decode(): value.decode() for name, value in found.metadata.items()}
    assert told["dataset"] == digest(read_manifest(run.config.dataset))
    assert told["cases"] == str(result.facts["cases"])
    assert [path.name for path in Path(run.config.out).glob("associations*")] == ["associations.parquet"]


def test_work__few_people_are_told(mini: MiniInputs, tmp_path: Path):
    run = run_of(mini, tmp_path, n_samples=20, n_genes=3)
    result = work(run)
    assert "wanted at least 10 of each" in result.facts["untested"]
    assert result.fitted_on == {}
    assert isinstance(read_associations(run.config.associations), pd.DataFrame)
