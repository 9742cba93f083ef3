"""Cohorts that are not as one wishes: each works, or is refused with its reason."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from contract.errors import InputError
from contract.manifest import Manifest, read_manifest
from etl.config import EtlConfig
from etl.pipeline import run
from tests.etl.mini import write_bgzip
from tests.etl.study import Study, choose_people

pytestmark = pytest.mark.slow


class Cohort:
    """Part of the simulated study, its people in any order, repeated under other names, or relabelled."""

    def __init__(self, study: Study, folder: Path) -> None:
        self._study = study
        self.folder = folder
        table = pd.read_csv(study.cohort / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
        # Relatives and planted defects stay out: what is odd here is the cohort, not its people.
        bad = {name for pair in study.truth.related_pairs for name in (pair.sample_a, pair.sample_b)}
        bad |= {p.sample_id for p in study.truth.people if p.low_quality or p.contamination}
        self.samples = table[~table["sample_id"].isin(bad)].assign(source=lambda t: t["sample_id"])

    def run(self, *, without_contig: str | None = None, **changes: object) -> Manifest:
        sources = dict(zip(self.samples["sample_id"], self.samples["source"], strict=True))
        for path in self._study.cohort.glob("calls.*.vcf.bgz"):
            text = gzip.decompress(path.read_bytes()).decode()
            write_bgzip(self.folder / path.name, choose_people(text, sources, without_contig=without_contig))
        self.samples.drop(columns="source").to_csv(self.folder / "samples.tsv", sep="\t", index=False)
        config = self.config(**changes)
        run(config, console=Console(quiet=True))
        return read_manifest(config.dataset)

    def config(self, **changes: object) -> EtlConfig:
        own = Study(self._study.cohort, self.folder / "out", self._study.truth)
        own_settings = {
            "samples__path": self.folder / "samples.tsv",
            "input__vcf": self.folder / "calls.*.vcf.bgz",
            "thresholds__relatedness__min_markers": 300,
        }
        return own.config(**own_settings, **changes)


@pytest.fixture
def cohort(simulated: Study, hail_session: None, tmp_path: Path) -> Cohort:
    return Cohort(simulated, tmp_path)


def test_run__one_batch(cohort: Cohort):
    cohort.samples["batch"] = "w1"
    manifest = cohort.run()
    assert manifest.counts["people_out"] > 0.9 * len(cohort.samples)


def test_run__a_batch_without_cases(cohort: Cohort):
    cohort.samples.loc[cohort.samples["batch"] == "wave2", "status"] = "control"
    assert (cohort.samples["status"] == "case").sum() >= 20
    assert cohort.run().counts["people_out"] > 0.9 * len(cohort.samples)


def test_run__no_chromosome_x(cohort: Cohort):
    manifest = cohort.run(without_contig="X")
    assert manifest.counts["people_out"] > 0.9 * len(cohort.samples)
    assert not any(entry.reason == "sex_mismatch" and entry.count for entry in manifest.ledger)


def test_run__women_alone(cohort: Cohort):
    cohort.samples = cohort.samples[cohort.samples["sex"] == "female"]
    n_women = len(cohort.samples)
    assert n_women > 30
    assert cohort.run().counts["people_out"] > 0.9 * n_women


def test_run__everybody_twice(cohort: Cohort):
    once = cohort.samples.head(80)
    cohort.samples = pd.concat([once, once.assign(sample_id="again_" + once["sample_id"])])
    manifest = cohort.run()
    duplicates = sum(entry.count for entry in manifest.ledger if entry.reason == "duplicate")
    assert duplicates >= 78, "all but those of people who left before"
    assert 72 <= manifest.counts["people_out"] <= 80


def test_run__no_controls(cohort: Cohort):
    cohort.samples["status"] = "case"
    with pytest.raises(InputError, match="column 'status': found case, wanted two values"):
        cohort.run()


def test_run__five_people(cohort: Cohort):
    cohort.samples = cohort.samples.head(5).assign(status=["case", "control", "case", "control", "case"])
    with pytest.raises(InputError, match=r"found 5.*wanted at least 10") as told:
        cohort.run(kinship="skip")
    assert any("families" in fault for fault in told.value.faults)
