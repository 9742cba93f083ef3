from pathlib import Path
from typing import Any

import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import EtlConfig, SamplesConfig
from etl.ingest.fam import men, read_people_file
from etl.ingest.samples import read_samples
from tests.etl.mini import MiniInputs

FAM = "one A 0 0 1 2\none B 0 0 2 1\n0 C A B 0 -9\n0\tD\t0\t0\t2\t0\n0 E 0 0 1 NA\n"
PSAM = "#FID\tIID\tSID\tSEX\tsmoker\tPHENO1\none\tA\t0\t1\t2\t0.5\none\tB\t0\tF\t1\t0.1\n0\tC\t0\tNA\tNA\t0\n"


CODES_WANTED = (
    "wanted case (2), control (1) or none (0, -9, NA); "
    "samples.status names other codes, or another table has the status"
)


def config_of(path: Path, **settings: Any) -> SamplesConfig:
    return build_config(SamplesConfig, {"path": str(path), **settings}, "test")


def test_read_samples__of_a_fam(tmp_path: Path):
    (tmp_path / "a.fam").write_text(FAM)
    samples = read_samples(config_of(tmp_path / "a.fam"))
    assert samples["sample_id"].tolist() == list("ABCDE")
    assert samples["is_case"].fillna(-1).tolist() == [1, 0, -1, -1, -1]
    assert samples["reported_sex"].fillna("?").tolist() == ["male", "female", "?", "female", "male"]
    assert samples["declared_family"].fillna("").tolist() == ["one", "one", "", "", ""]


def test_read_samples__of_a_psam(tmp_path: Path):
    (tmp_path / "a.psam").write_text(PSAM)
    samples = read_samples(config_of(tmp_path / "a.psam"))
    assert samples["is_case"].fillna(-1).tolist() == [1, 0, -1]
    assert samples["reported_sex"].fillna("?").tolist() == ["male", "female", "?"]


def test_read_samples__of_a_psam_without_families_and_header_names(tmp_path: Path):
    (tmp_path / "a.psam").write_text("#IID PHENO1\nA 2\nB 1\n")
    samples = read_samples(config_of(tmp_path / "a.psam"))
    assert samples["declared_family"].isna().all()
    assert samples["is_case"].tolist() == [1, 0]
    (tmp_path / "a.psam").write_text("f A 0 0 1 2\nf B 0 0 1 1\n")
    assert read_samples(config_of(tmp_path / "a.psam"))["declared_family"].tolist() == ["f", "f"]


def test_read_samples__other_codes_and_no_families(tmp_path: Path):
    (tmp_path / "a.fam").write_text("f A 0 0 1 1\nf B 0 0 2 0\n")
    codes = {"column": "status", "case": [1], "control": [0]}
    samples = read_samples(config_of(tmp_path / "a.fam", status=codes, family=None))
    assert samples["is_case"].tolist() == [1, 0]
    assert samples["declared_family"].isna().all()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "f A 0 0 1 0.5\nf B 0 0 2 -1.25\nf C 0 0 2 1\n",
            "column 'status': found -1.25, 0.5 of 2 people, " + CODES_WANTED,
        ),
        (
            "f A 0 0 1 1\nf B 0 0 2 2\nf C 0 0 0 3\n",
            "column 'status': found 3 of 1 people, " + CODES_WANTED,
        ),
        (
            "f A 0 0 1 1\nf B 0 0 2 0\n",
            "column 'status': found 0, 1, wanted two values: case (2) and control (1)",
        ),
        ("f A 0 0 1 1\nf A 0 0 2 2\n", "sample id: found 1 repeated, wanted each once"),
        (
            "f A 0 0 1 1\nf B 0 0 2\n",
            "person 2: found 5 columns, wanted 6: family, sample_id, father, mother, sex, status",
        ),
    ],
)
def test_read_samples__bad_fam(tmp_path: Path, text: str, wanted: str):
    (tmp_path / "a.fam").write_text(text)
    with pytest.raises(InputError) as told:
        read_samples(config_of(tmp_path / "a.fam"))
    assert told.value.faults == [f"{tmp_path}/a.fam: {wanted}"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("importFamCaseControlNumericException.fam", "found 3, non-numeric of 2 people"),
        ("duplicate_id.fam", "found 1 repeated"),
    ],
)
def test_read_samples__malformed_fam_of_others(shared_data: Path, name: str, wanted: str):
    with pytest.raises(InputError, match=wanted):
        read_samples(config_of(shared_data / "09_malformed" / "hail" / name))


@pytest.mark.parametrize("name", ["pedigree.fam", "regressionLogistic.fam", "regressionLogisticEpacts.fam"])
def test_read_samples__fam_of_others(shared_data: Path, name: str):
    path = shared_data / "01_hail_test_resources" / name
    lines = [line.split() for line in path.read_text().splitlines()]
    samples = read_samples(config_of(path))
    assert samples["sample_id"].tolist() == [line[1] for line in lines]
    found = [int((samples["is_case"] == value).sum()) for value in (1, 0)]
    assert found == [sum(line[5] == code for line in lines) for code in ("2", "1")]


def test_men__by_any_code(tmp_path: Path):
    (tmp_path / "a.psam").write_text("#IID SEX\nA 1\nB M\nC 2\nD F\nE NA\n")
    assert men(read_people_file(str(tmp_path / "a.psam"))).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("calls", "path"),
    [
        ({"plink": "x/cohort"}, "x/cohort.fam"),
        ({"plink": "x/cohort.bed"}, "x/cohort.fam"),
        ({"plink": ["{data}/chr1.bed", "{data}/chr2.bed"]}, "here/chr1.fam"),
        ({"pgen": "x/cohort.pgen"}, "x/cohort.psam"),
    ],
)
def test_etl_config__people_of_the_calls(mini: MiniInputs, calls: dict[str, Any], path: str):
    settings = {**mini.settings, "input": calls, "data": "here"}
    del settings["samples"]
    samples = build_config(EtlConfig, settings, "test").samples
    assert samples.path == path
    assert (samples.status.column, samples.status.case, samples.status.control) == ("status", ["2"], ["1"])
    assert samples.sex is not None
    assert samples.family == "family"


@pytest.mark.parametrize("calls", [{"plink": "x/*.bed"}, {"vcf": "x.vcf"}, {"bgen": "x.bgen"}])
def test_etl_config__calls_that_name_no_people(mini: MiniInputs, calls: dict[str, Any]):
    settings = {**mini.settings, "input": calls}
    del settings["samples"]
    with pytest.raises(InputError, match="samples: found nothing, wanted a value for this key"):
        build_config(EtlConfig, settings, "test")
