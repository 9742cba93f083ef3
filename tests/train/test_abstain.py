import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.dataset import read_samples
from contract.example import write_example
from contract.manifest import Manifest, read_manifest
from contract.people_tables import read_people_qc, write_people_qc
from contract.reference import Reference, person_burdens
from tests.references import reference
from train.abstain import abstain_reasons

CHANNELS = [
    {"name": "plof", "definition": {"classes": ["plof"]}},
    {"name": "synonymous", "definition": {"classes": ["synonymous"]}},
]
ALL = list(range(10))


@pytest.fixture
def cohort(tmp_path: Path) -> str:
    root = str(tmp_path / "cohort")
    write_example(root, n_samples=40, n_genes=30, channels=("plof", "synonymous"), density=0.2)
    path = Path(root) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": CHANNELS}))
    return root


def reasons(root: str, manifest: Manifest, content: Reference | None, *, own: bool = True) -> pd.Series:
    found = abstain_reasons(content, root, manifest, ALL, own_components=own).set_index("sample_index")
    assert len(found) == 40
    if content is not None:
        assert (found["abstain"] == (found["abstain_reasons"] != "")).all()
    return found["abstain_reasons"].sort_index()


def made(tmp_path: Path, **changes: object) -> Reference:
    covariates = {"components": ["is_female"], "baseline": [0.0], "lowest_call_rate": None}
    return reference(tmp_path / "reference", channels=CHANNELS, **covariates | changes)


def with_metrics(root: str, **columns: object) -> Manifest:
    """The manifest, after columns were added to the table of quality metrics."""
    manifest = read_manifest(root)
    metrics = read_people_qc(root, manifest)
    assert metrics is not None
    file = write_people_qc(root, metrics.assign(**columns).reset_index())
    return manifest.model_copy(update={"tables": manifest.tables | {"people_qc": file}})


def test_abstain_reasons__nobody_where_all_is_as_in_training(cohort: str, tmp_path: Path):
    assert (reasons(cohort, read_manifest(cohort), made(tmp_path)) == "").all()


def test_abstain_reasons__nobody_can_be_judged_without_a_reference(cohort: str):
    found = abstain_reasons(None, cohort, read_manifest(cohort), ALL, own_components=True)
    assert found["abstain"].isna().all()
    assert (found["abstain_reasons"] == "no_reference").all()


def test_abstain_reasons__far_components_only_where_they_can_be_compared(cohort: str, tmp_path: Path):
    group = {"name": "group1", "n": 90, "mean": [0.0], "covariance": [[0.01]], "cut": 10.8}
    content, manifest = made(tmp_path, groups=[group]), read_manifest(cohort)
    people = read_samples(cohort, manifest, ALL).set_index("sample_index").sort_index()
    women = people["covariates"].map(lambda values: values[0] == 1)
    assert (reasons(cohort, manifest, content) == "components").tolist() == women.tolist()
    assert (reasons(cohort, manifest, content, own=False) == "").all()


def test_abstain_reasons__call_rate_markers_and_metrics(cohort: str, tmp_path: Path):
    call_rate, markers, deviation = np.full((3, 40), [[0.99], [1.0], [0.0]])
    call_rate[0], markers[1], deviation[2], call_rate[3], markers[3] = 0.97, 0.8, -5.0, 0.97, np.nan
    manifest = with_metrics(
        cohort, common_call_rate=call_rate, marker_call_rate=markers, deviation_r_ti_tv=deviation
    )
    rule = {
        **{"metric": "r_ti_tv", "ancestry": "group1", "centres": [], "slopes": [], "intercept": 0.0},
        **{"median": 0.0, "spread": 1.0, "max_deviations": 4.0, "upper_only": False},
    }
    content = made(tmp_path, lowest_call_rate=0.98, comparisons=[rule])
    found = reasons(cohort, manifest, content)
    assert found.iloc[:4].tolist() == ["call_rate", "markers", "outlier_r_ti_tv", "call_rate"]
    assert (found.iloc[4:] == "").all()


def test_abstain_reasons__burden_of_synonymous_variants(cohort: str, tmp_path: Path):
    manifest = read_manifest(cohort)
    people = read_samples(cohort, manifest, ALL).sort_values("sample_index")
    root = np.sqrt(person_burdens(people, 2, 30)[:, 1] + 3 / 8)
    highest = int(root.argmax())
    rule = {
        "channel": "synonymous",
        "ancestry": None,
        "n": 900,
        "deviation": 0.1,
        "mean": root[highest] - 0.41,
    }
    found = reasons(cohort, manifest, made(tmp_path, burdens=[rule]))
    assert found.iloc[highest] == "burden_synonymous"
    others = np.abs(root - rule["mean"]) <= 0.4
    assert (found[others] == "").all()


def test_abstain_reasons__a_channel_in_which_hardly_anybody_has_nothing(cohort: str, tmp_path: Path):
    rule = {"channel": "plof", "ancestry": None, "n": 900, "deviation": 0.1, "mean": 3.0}
    content = made(tmp_path, burdens=[rule])
    assert (reasons(cohort, read_manifest(cohort), content) == "").all()
    empty = str(tmp_path / "empty")
    write_example(empty, n_samples=40, n_genes=30, channels=("plof", "synonymous"), density=0.0001)
    path = Path(empty) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": CHANNELS}))
    assert (reasons(empty, read_manifest(empty), content) == "missing_plof").mean() > 0.9


def test_abstain_reasons__a_channel_of_missing_calls_tells_nobody_off(cohort: str, tmp_path: Path):
    uncalled = [
        {"name": name, "definition": {"classes": ["synonymous"], "coding": "missing"}}
        for name in ("plof", "synonymous")
    ]
    path = Path(cohort) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": uncalled}))
    rule = {"ancestry": None, "n": 900, "deviation": 0.01, "mean": 30.0}
    rules = [rule | {"channel": name} for name in ("plof", "synonymous")]
    assert (reasons(cohort, read_manifest(cohort), made(tmp_path, burdens=rules)) == "").all()
