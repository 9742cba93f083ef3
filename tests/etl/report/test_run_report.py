"""The report of a whole run."""

import base64
import gzip
import json
import re
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("hail")

from contract.manifest import read_manifest
from tests.etl.study import Study


@pytest.fixture(scope="module")
def page(finished: Study) -> str:
    return (finished.out / "qc_report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def panels(page: str) -> dict[str, dict]:
    (packed,) = re.findall(r'id="payload">(.*?)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def ledger(study: Study, name: str) -> pd.DataFrame:
    return pd.read_csv(study.out / "steps/11_report" / name)


def test_report__ledger_adds_up_to_the_dataset(finished: Study):
    manifest = read_manifest(str(finished.out / "dataset"))
    people, variants = ledger(finished, "people_ledger.csv"), ledger(finished, "variant_ledger.csv")
    counts = manifest.counts
    assert counts["people_in"] - people["n_first"].sum() == counts["people_out"]
    assert counts["variants_in"] - variants["n_first"].sum() == counts["variants_out"]
    for entry in manifest.ledger:
        if entry.step in ("sample_metrics", "relatedness", "ancestry"):
            assert people.loc[people["reason"] == entry.reason, "n_all"].sum() == entry.count
        if entry.step == "variant_qc":
            assert variants.loc[variants["reason"] == entry.reason, "n_all"].sum() == entry.count


def test_report__status_of_sealed_people_is_in_no_figure(finished: Study, panels: dict[str, dict]):
    manifest = read_manifest(str(finished.out / "dataset"))
    people = pd.read_parquet(finished.out / "steps/04_ancestry/components.parquet")
    sealed = people["fold"] == manifest.test_fold
    traces = panels["components_status"]["figure"]["data"]
    expected = people.loc[~sealed, "is_case"].map({1: "case", 0: "control"}).value_counts().to_dict()
    assert {trace["name"]: len(trace["x"]) for trace in traces} == {**expected, "sealed": int(sealed.sum())}
    folded = pd.read_parquet(finished.out / "steps/03_relatedness/people.parquet")["fold"]
    for name in ("call_rate_by_status", "n_singleton_by_status"):
        rows = [line.split(",") for line in panels[name]["csv"].splitlines()[1:]]
        assert sum(int(row[2]) for row in rows if row[0] == "sealed") == (folded == manifest.test_fold).sum()


def test_report__holds_no_names_of_people(finished: Study, page: str, panels: dict[str, dict]):
    ids = [person.sample_id for person in finished.truth.people]
    tables = " ".join(path.read_text() for path in Path(finished.out / "steps/11_report").glob("*.csv"))
    assert not any(name in text for text in (page, json.dumps(panels), tables) for name in ids)


def test_report__shows_burden_association_without_small_counts(
    finished: Study, page: str, panels: dict[str, dict]
):
    table = pd.read_parquet(finished.out / "associations.parquet")
    section = page.split('<section id="association">')[1].split("</section>")[0]
    assert {"association_quantiles", "association_genome"} <= set(panels)
    assert "Covariates: is_female" in section
    strongest = table.nlargest(1, "log10_p").iloc[0]
    assert f"<td>{strongest['symbol']}</td>" in section
    fewest = table.loc[table["test"].notna(), ["carriers_cases", "carriers_controls"]].min().min()
    assert ("&lt;5" in section) == (fewest < 5)
