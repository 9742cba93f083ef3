from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.config import InputConfig
from etl.ingest.files import open_source
from etl.ingest.source import Reference
from etl.ingest.sources.bgen import read_sample_file
from etl.steps.ingest import read_settings
from tests.etl.ingest.reading import calls
from tests.etl.ingest.sources.bgen_writer import SURE, probabilities, write_bgen
from tests.etl.ingest.sources.cohorts import (
    RECORDS,
    convert,
    faults_of,
    plink2,  # noqa: F401 - a fixture
    read_calls,
    rows,
    run_config,
    write_vcf,
)


def found(path: Path, **settings: Any) -> tuple[list[dict[str, Any]], list[list[str]]]:
    table, _ = read_calls({"bgen": str(path), **settings})
    return table.to_pylist(), calls(table)


@pytest.mark.parametrize("compression", [0, 1, 2])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_bgen__widths_and_compressions(tmp_path: Path, bits: int, compression: int):
    stored = probabilities("1,0 0,1 0,0", bits=bits)
    path = write_bgen(tmp_path / "a.bgen", ("01 100 A,G", stored), compression=compression)
    (row,), listed = found(path)
    assert (row["contig"], row["position"], row["ref"], row["alt"]) == ("1", 100, "A", "G")
    assert listed == [["1:0/1", "2:1/1"]]


def test_bgen__likely_genotypes_are_calls(tmp_path: Path):
    stored = probabilities("0.95,0.05 0.11,0.89 0.04,0.05", bits=16)
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", stored))
    assert found(path)[1] == [["1:./.", "2:1/1"]]
    assert found(path, min_probability=0.8)[1] == [["1:0/1", "2:1/1"]]
    assert found(path, min_probability=0.99)[1] == [["0:./.", "1:./.", "2:./."]]


def test_hard_calls__people_of_other_ploidy_change_nothing_for_the_others(tmp_path: Path):
    random = np.random.default_rng(1)
    shares = [random.dirichlet((0.2, 0.2, 0.2)) for _ in range(200)]
    people = " ".join([*(f"{one:.4f},{two:.4f}" for one, two, _ in shares), "-"])
    diploid = write_bgen(
        tmp_path / "a.bgen",
        ("1 100 A,G", probabilities(people, bits=16)),
        n_people=201,
        ids=tuple(map(str, range(201))),
    )
    mixed = write_bgen(
        tmp_path / "b.bgen",
        ("1 100 A,G", probabilities(f"{people} 1:-", bits=16)),
        n_people=202,
        ids=tuple(map(str, range(202))),
    )
    (fast,), (general,) = found(diploid)[1], found(mixed)[1]
    assert len(fast) > 100
    assert [*fast, "201:./."] == general


def test_bgen__missing_and_haploid_people(tmp_path: Path):
    path = write_bgen(tmp_path / "a.bgen", ("X 5000000 A,G", probabilities("- 1:0 0,1")))
    assert found(path)[1] == [["0:./.", "1:1", "2:0/1"]]
    path = write_bgen(tmp_path / "b.bgen", ("X 5000000 A,G", probabilities("1:1 1:- 1,0")))
    assert found(path)[1] == [["1:./."]]


def test_bgen__phased_people(tmp_path: Path):
    stored = probabilities("1,0 0,1 0,0", phased=True)
    assert found(write_bgen(tmp_path / "a.bgen", ("1 100 A,G", stored)))[1] == [["0:0/1", "1:0/1", "2:1/1"]]
    # Haplotypes of 0.93 each: the heterozygous genotype has 0.93² + 0.07² = 0.87.
    stored = probabilities("0.93,0.07 0.97,0.03 0.97,0.97", bits=16, phased=True)
    assert found(write_bgen(tmp_path / "a.bgen", ("1 100 A,G", stored)))[1] == [["0:./.", "1:0/1"]]


def test_bgen__three_alleles(tmp_path: Path):
    # In the order 0/0 0/1 1/1 0/2 1/2, and 2/2 is what is left.
    stored = probabilities("0,0,0,0,1 0,0,0,0,0 0,0,1,0,0")
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G,T", stored))
    table, listed = found(path)
    assert [row["alt"] for row in table] == ["G", "T"]
    assert listed == [["0:0/1", "2:1/1"], ["0:0/1", "1:1/1"]]
    table, listed = found(path, reference_allele="last")
    assert [(row["ref"], row["alt"]) for row in table] == [("T", "A"), ("T", "G")]
    assert listed == [[], ["0:0/1", "2:1/1"]]


def test_bgen__the_last_allele_as_the_reference(tmp_path: Path):
    path = write_bgen(tmp_path / "a.bgen", ("X 5000000 A,G", probabilities("- 1:1 0,1")))
    (row,), listed = found(path, reference_allele="last")
    assert (row["ref"], row["alt"]) == ("G", "A")
    assert listed == [["0:./.", "1:1", "2:0/1"]]


def test_bgen__the_sequence_decides_on_the_reference(tmp_path: Path):
    (tmp_path / "r.fa").write_text(">1\nCGGT\n")
    path = write_bgen(tmp_path / "a.bgen", ("1 1 C,G", SURE), ("1 2 C,G", SURE))
    table, _ = read_calls({"bgen": str(path)}, reference_fasta=str(tmp_path / "r.fa"))
    assert table.column("ref").to_pylist() == ["C", "G"]
    assert calls(table) == [["1:0/1", "2:1/1"], ["0:1/1", "1:0/1"]]


def test_bgen__any_parts_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.ingest.sources.plink.FEWEST_VARIANTS", 1)
    path = write_bgen(tmp_path / "a.bgen", *((f"1 {place} A,G", SURE) for place in range(100, 117)))
    whole, _ = read_calls({"bgen": str(path)})
    assert whole.num_rows == 17
    assert rows(read_calls({"bgen": str(path)}, parts=5)[0]) == rows(whole)


SAMPLE = "ID_1 ID_2 missing sex\n0 0 0 D\nf1 A 0 1\nf2 B 0 2\nf3 C 0 0\n"


@pytest.mark.parametrize(
    "ids",
    [None, ("A", "B", "C"), ("f1", "f2", "f3"), ("f1_A", "f2_B", "f3_C"), ("(anonymous_sample_1)",) * 3],
)
def test_bgen__people_of_the_sample_file(tmp_path: Path, ids: tuple[str, ...] | None):
    (tmp_path / "a.sample").write_text(SAMPLE)
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), ids=ids)
    config = build_config(InputConfig, {"bgen": str(path), "sample": f"{tmp_path}/a.sample"}, "test")
    (header,), faults = open_source(config).inspect(Reference("GRCh37", None))
    assert faults == []
    assert header.samples == ("A", "B", "C")
    assert open_source(config).files() == [str(path), f"{tmp_path}/a.sample"]


def test_read_sample_file__one_column_of_ids(tmp_path: Path):
    (tmp_path / "a.sample").write_text("ID missing sex\n0 0 D\nA 0 1\nB 0 2\n")
    assert read_sample_file(str(tmp_path / "a.sample")) == (("A", "B"), ("A", "B"))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (SAMPLE + "f4 D 0 0\n", "people: found 4 people, wanted 3, as in {bgen}"),
        (
            SAMPLE.replace("f2 B", "f2 Z"),
            "people: found other ids than in the file, or another order, wanted those of {bgen}",
        ),
        (
            "A\nB\nC\n",
            "first lines: found A, wanted two lines of names and types, the first with ID_1 and ID_2, "
            "then a line for each person",
        ),
        (SAMPLE.replace("f2 B 0 2", "f2 B"), "person 2: found 2 columns, wanted 4, as its first line has"),
        (None, "input.sample: found no readable file (No such file or directory), wanted a .sample file"),
    ],
)
def test_bgen__bad_sample_file(tmp_path: Path, content: str | None, wanted: str):
    sample = tmp_path / "a.sample"
    if content is not None:
        sample.write_text(content)
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE))
    assert faults_of({"bgen": str(path), "sample": str(sample)}) == [f"{sample}: {wanted.format(bgen=path)}"]


@pytest.mark.parametrize(
    ("settings", "change", "wanted"),
    [
        (
            {"ids": None},
            None,
            "sample ids: found no ids in the file, "
            "wanted `input.sample`, the .sample file that belongs to it",
        ),
        ({"ids": ("A", "B")}, None, "sample ids: found 2, wanted 3, as the header block says"),
        (
            {"layout": 1},
            None,
            "layout: found 1, wanted layout 2 (BGEN 1.2 or later); "
            "`plink2 --bgen … --export bgen-1.2` or qctool converts",
        ),
        ({}, (16, b"bgex"), "magic number: found bytes 62 67 65 78, wanted 'bgen', as in every BGEN file"),
        ({}, (20, b"\x0b"), "compression: found compression 3, wanted none, zlib, zstd"),
        ({}, (18, None), "header: found unreadable content (the file is cut off), wanted a BGEN file"),
    ],
)
def test_bgen__bad_header(
    tmp_path: Path, settings: dict[str, Any], change: tuple[int, bytes | None] | None, wanted: str
):
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), **settings)
    if change is not None:
        place, content = change
        whole = path.read_bytes()
        path.write_bytes(
            whole[:place] + (b"" if content is None else content + whole[place + len(content) :])
        )
    assert faults_of({"bgen": str(path)}) == [f"{path}: {wanted}"]


def test_bgen__absent(tmp_path: Path):
    assert faults_of({"bgen": f"{tmp_path}/*.bgen"}) == [
        f"{tmp_path}/*.bgen: input.bgen: found no such file, wanted a BGEN file or a glob of some"
    ]


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (SURE[:12] + b"\x03" + SURE[13:], "found probabilities of 3 bits, wanted 8, 16, 32 bits"),
        (SURE[:-1], "found 5 probabilities, where 6 are needed, wanted probabilities as in BGEN 1.2"),
        (
            SURE[:8] + b"\x03" + SURE[9:],
            "found calls of ploidy 3, where only haploid and diploid ones are read, "
            "wanted probabilities as in BGEN 1.2",
        ),
        (probabilities("1,0 0,1"), "found 2 people, wanted 3"),
        (
            SURE[:4] + b"\x05" + SURE[5:],
            "found unreadable content (probabilities of 5 alleles, where 2 are named), "
            "wanted probabilities as in BGEN 1.2",
        ),
    ],
)
def test_bgen__bad_probabilities(tmp_path: Path, stored: bytes, wanted: str):
    path = write_bgen(tmp_path / "a.bgen", ("1 90 A,G", SURE), ("1 100 A,G", stored))
    with pytest.raises(InputError) as told:
        read_calls({"bgen": str(path)})
    assert told.value.faults == [f"{path}: variant 1:100: {wanted}"]


def test_bgen__damaged_content(tmp_path: Path):
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), ("1 200 A,G", SURE))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + b"XXXXXXXX")
    with pytest.raises(InputError, match=r"variant 1:200: found unreadable content \(.*zlib|Error"):
        read_calls({"bgen": str(path)})


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda whole: whole[:-1], r"variant 2: found the file's end, at byte \d+, wanted 2 whole variants"),
        (lambda whole: whole[:-40], r"variant 2: found the file's end, at byte \d+, wanted 2 whole variants"),
        (
            lambda whole: whole + b"abc",
            r"size: found 3 bytes behind the last variant, wanted the 2 variants that its header names",
        ),
    ],
)
def test_bgen__another_number_of_variants(tmp_path: Path, change: Any, wanted: str):
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), ("1 200 A,G", SURE))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=wanted):
        read_calls({"bgen": str(path)})


def test_bgen__another_build(tmp_path: Path):
    path = write_bgen(tmp_path / "a.bgen", ("21 48129897 A,G", SURE))
    with pytest.raises(InputError, match=r"record 21:48129897: found position .* the length of 21 in GRCh37"):
        read_calls({"bgen": str(path)})


@pytest.mark.parametrize("bits", [8, 16])
def test_bgen__equals_the_vcf_that_plink2_made_it_of(tmp_path: Path, plink2: str, bits: int):  # noqa: F811
    # plink2 spoils unphased heterozygous calls beside phased ones, and those of men on X.
    records = [record.replace("1|0", "0/1").replace(". 0/0 0/1 0/0", ". 0/0 0 0/0") for record in RECORDS]
    vcf = write_vcf(tmp_path / "cohort.vcf", *records)
    prefix = convert(plink2, vcf, "--export", "bgen-1.2", f"bits={bits}", "ref-first")
    of_bgen, _ = read_calls({"bgen": f"{prefix}.bgen", "sample": f"{prefix}.sample"})
    of_vcf, _ = read_calls({"vcf": str(vcf)})
    assert of_bgen.num_rows == len(records)
    # BGEN has no FILTER, and no INFO.
    assert rows(of_bgen, "filters", "site_reasons") == rows(of_vcf, "filters", "site_reasons")


def records_of(calls_settings: dict[str, Any]) -> list[Any]:
    config = run_config(calls_settings)
    source, reference = open_source(config.input), Reference(config.reference, None)
    headers, _ = source.inspect(reference)
    settings = read_settings(config, config.resolved_profile(), headers).records
    return [record for part in source.parts(headers, 1, reference) for record in part.records(settings)]


@pytest.mark.parametrize(
    ("bed", "bgen"),
    [("example", "example"), ("example_3chr", "example_3chr"), ("example_3chr", "example_3chr_zstd")],
)
def test_bgen__same_calls_as_the_bed_of_the_same_people(shared_data: Path, bed: str, bgen: str):
    folder = shared_data / "02_regenie"
    sample = {} if bgen != "example_3chr_zstd" else {"sample": str(folder / "example_3chr.sample")}
    of_bed = records_of({"plink": str(folder / bed)})
    of_bgen = records_of({"bgen": str(folder / f"{bgen}.bgen"), "reference_allele": "last", **sample})
    assert len(of_bed) == len(of_bgen) == {"example": 1000}.get(bed, 500)
    for one, other in zip(of_bed, of_bgen, strict=True):
        assert (one.contig, one.position, one.ref, one.alts) == (
            other.contig, other.position, other.ref, other.alts,
        )  # fmt: skip
        assert np.array_equal(np.sort(one.alleles_HP, axis=0), np.sort(other.alleles_HP, axis=0))
