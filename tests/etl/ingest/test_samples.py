import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import Format, SamplesConfig
from etl.ingest.files import SOURCES
from etl.ingest.samples import match_samples, permuted_status, read_samples

TABLE = """\
id\tdx\tgender\twave\tfam\tpop
A\tSCZ\tF\tw1\tf1\tEUR
B\tctrl\tM\tw2\tf1\tEUR
C\tSCZ\t2\t\t\tAFR
D\tunknown\t\tw1\tNA\t.
"""


def config_for(path: Path, **changes: Any) -> SamplesConfig:
    settings = {
        "path": str(path),
        "sample_id": "id",
        "status": {"column": "dx", "case": ["SCZ"], "control": ["ctrl"]},
        "sex": {"column": "gender"},
        "batch": "wave",
        "family": "fam",
        "ancestry": "pop",
    }
    return build_config(SamplesConfig, {**settings, **changes}, "test")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "samples.tsv"
    path.write_text(TABLE)
    return path


def test_read_samples__own_columns(table: Path):
    found = read_samples(config_for(table))
    assert found["sample_id"].tolist() == ["A", "B", "C", "D"]
    assert found["is_case"].tolist() == [1, 0, 1, pd.NA]
    assert found["reported_sex"].fillna("?").tolist() == ["female", "male", "female", "?"]
    assert found["batch"].tolist() == ["w1", "w2", "unknown", "w1"]
    assert found["declared_family"].isna().tolist() == [False, False, True, True]
    assert found["known_ancestry"].isna().tolist() == [False, False, False, True]


def test_read_samples__columns_that_are_not_configured(table: Path):
    found = read_samples(config_for(table, sex=None, batch=None, family=None, ancestry=None))
    assert set(found["batch"]) == {"all"}
    assert found[["reported_sex", "declared_family", "known_ancestry"]].isna().all(axis=None)


def test_read_samples__folds_of_your_own(tmp_path: Path):
    path = tmp_path / "samples.tsv"
    lines = TABLE.splitlines()
    path.write_text(
        "\n".join(f"{line}\t{fold}" for line, fold in zip(lines, ["fold", 3, 0, 9, 3], strict=True))
    )
    assert read_samples(config_for(path, fold="fold"))["declared_fold"].tolist() == [3, 0, 9, 3]


def test_read_samples__somebody_without_a_fold(tmp_path: Path):
    path = tmp_path / "samples.tsv"
    folds = ["fold", 3, "", 10, 1.5]
    path.write_text(
        "\n".join(f"{line}\t{fold}" for line, fold in zip(TABLE.splitlines(), folds, strict=True))
    )
    with pytest.raises(
        InputError, match="column 'fold': found 3 people without one, wanted a whole number from"
    ):
        read_samples(config_for(path, fold="fold"))


def test_read_samples__comma_separated(tmp_path: Path):
    path = tmp_path / "samples.csv"
    path.write_text(TABLE.replace("\t", ","))
    assert read_samples(config_for(path))["sample_id"].tolist() == ["A", "B", "C", "D"]


def test_read_samples__ids_stay_text(table: Path):
    table.write_text(TABLE.replace("\nA\t", "\n007\t"))
    assert read_samples(config_for(table))["sample_id"].iloc[0] == "007"


@pytest.mark.parametrize("mess", ["trailing tabs", "spaces", "windows", "byte order mark"])
def test_read_samples__headers_as_people_write_them(table: Path, mess: str):
    first, rest = TABLE.split("\n", 1)
    written = {
        "trailing tabs": first + "\t\t\n" + rest,
        "spaces": first.replace("\t", " \t ") + "\n" + rest,
        "windows": TABLE.replace("\n", "\r\n"),
        "byte order mark": "\ufeff" + TABLE,
    }[mess]
    table.write_bytes(written.encode())
    found = read_samples(config_for(table))
    assert found["sample_id"].tolist() == ["A", "B", "C", "D"]
    assert found["batch"].tolist() == ["w1", "w2", "unknown", "w1"]


def test_read_samples__the_panel_and_pedigree_of_1000_genomes(shared_data: Path):
    folder = shared_data / "06_1kg_phase3_chr22_2504"
    panel = config_for(
        folder / "integrated_call_samples_v3.20130502.ALL.panel",
        sample_id="sample",
        status={"column": "super_pop", "case": ["EUR"], "control": ["AFR", "AMR", "EAS", "SAS"]},
        batch=None,
        family=None,
        ancestry="pop",
    )
    found = read_samples(panel)
    assert len(found) == 2535
    assert found["is_case"].sum() == 505
    assert found["reported_sex"].value_counts().to_dict() == {"female": 1291, "male": 1244}


def test_read_samples__all_absent_columns_at_once(table: Path):
    with pytest.raises(InputError) as told:
        read_samples(config_for(table, batch="plate", family="family"))
    assert [text.split(": ")[1] for text in told.value.faults] == ["column 'plate'", "column 'family'"]
    assert "found columns id, dx, gender, wave, fam, pop" in told.value.faults[0]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (
            {"column": "dx", "case": ["case"], "control": ["ctrl"]},
            "found SCZ, ctrl, unknown, wanted two values",
        ),
        ({"column": "dx", "case": ["SCZ"], "control": ["control"]}, r"control \(control\)"),
    ],
)
def test_read_samples__status_not_two_valued(table: Path, status: dict[str, Any], found: str):
    with pytest.raises(InputError, match=found):
        read_samples(config_for(table, status=status))


def test_read_samples__a_value_that_means_case_and_control(table: Path):
    with pytest.raises(InputError, match="SCZ"):
        config_for(table, status={"column": "dx", "case": ["SCZ"], "control": ["ctrl", "SCZ"]})


def test_read_samples__ids_twice_and_empty(table: Path):
    table.write_text(TABLE + "A\tctrl\tF\tw1\t\tEUR\n\tctrl\tF\tw1\t\tEUR\n")
    with pytest.raises(InputError) as told:
        read_samples(config_for(table))
    assert [text.split(": ", 1)[1] for text in told.value.faults] == [
        "sample id: found 1 empty, wanted one in every row",
        "sample id: found 1 repeated, wanted each once",
    ]


def test_read_samples__absent_empty_and_binary(tmp_path: Path):
    with pytest.raises(InputError, match="found no such file, wanted a samples table"):
        read_samples(config_for(tmp_path / "none.tsv"))
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(InputError, match="found an unreadable table"):
        read_samples(config_for(tmp_path / "empty.tsv"))
    (tmp_path / "binary.tsv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match="found an unreadable table"):
        read_samples(config_for(tmp_path / "binary.tsv"))


def test_match_samples__counts_and_no_ids():
    samples = pd.DataFrame({"sample_id": ["A", "B", "C"]})
    assert match_samples(samples, ["C", "A", "B"], "t.tsv", "c.vcf", people_field="#CHROM line") == []


@pytest.mark.parametrize(
    ("format", "field"),
    [
        ("vcf", "#CHROM line"),
        ("plink", ".fam"),
        ("pgen", ".psam"),
        ("bgen", "sample ids"),
        ("matrix_table", "column key"),
        ("vds", "column key of variant_data"),
    ],
)
def test_match_samples__names_where_a_format_has_its_people(format: Format, field: str):
    samples = pd.DataFrame({"sample_id": ["A", "B", "C"]})
    own = SOURCES[format].people_field
    assert match_samples(samples, ["A", "D", "D"], "t.tsv", "calls", people_field=own) == [
        f"calls: {field}: found 1 repeated names, wanted each once",
        f"calls: {field}: found 2 people of t.tsv absent, wanted all of them",
        "t.tsv: samples: found 1 people of calls absent, wanted all of them",
    ]


@pytest.mark.parametrize("content", [gzip.compress(TABLE.encode())[:-12], TABLE.encode(), b""])
def test_read_samples__unreadable_gzip(tmp_path: Path, content: bytes):
    path = tmp_path / "samples.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"samples\.path: found an unreadable table"):
        read_samples(config_for(path))


def test_permuted_status__families_keep_their_pattern():
    families = [None, None, None, None, "f1", "f1", "f2", "f2", "f3", "f3", "f3"]
    samples = pd.DataFrame({"is_case": [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0], "declared_family": families})
    samples["is_case"] = samples["is_case"].astype("Int8")
    drawn = [permuted_status(samples, seed).tolist() for seed in range(20)]
    assert all(sorted(status[:4]) == [0, 0, 0, 1] for status in drawn)
    # Families of two swap as wholes; the only one of three keeps its own.
    assert {tuple(status[4:8]) for status in drawn} == {(1, 0, 0, 0), (0, 0, 1, 0)}
    assert all(status[8:] == [1, 1, 0] for status in drawn)
    assert permuted_status(samples, 3).tolist() == drawn[3]


def test_read_samples__permuted_status_is_that_of_nobody(tmp_path: Path):
    path = tmp_path / "samples.tsv"
    rows = [f"P{place}\t{'SCZ' if place < 50 else 'ctrl'}" for place in range(100)]
    path.write_text("\n".join(["id\tdx", *rows, "U\tunknown"]) + "\n")
    own = {"sex": None, "batch": None, "family": None, "ancestry": None}
    found = read_samples(config_for(path, **own, permute_status=1))["is_case"]
    assert (found[:50].sum(), found[:100].sum()) != (50, 50)
    assert found[:100].sum() == 50
    assert found[100] is pd.NA
