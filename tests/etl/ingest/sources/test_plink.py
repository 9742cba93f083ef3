from pathlib import Path

import numpy as np
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.check import check
from etl.config import EtlConfig
from etl.ingest.files import open_source
from etl.ingest.source import Reference
from etl.ingest.sources.plink import PlinkPart, variants_per_part
from etl.pipeline import plan
from etl.steps.ingest import read_settings
from tests.etl.ingest.reading import calls
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
from tests.etl.mini import MiniInputs

BED = bytes([0x6C, 0x1B, 1])
FAM = "F1 F1 0 0 2 2\nM1 M1 0 0 1 1\nF2 F2 0 0 2 1\nM2 M2 0 0 1 2\nU1 U1 0 0 0 -9\n"
CODES = {"0": 3, "1": 2, "2": 0, ".": 1}
"""Copies of A1 -> two bits."""


def write_set(folder: Path, *variants: str, fam: str = FAM) -> Path:
    """A set from lines 'contig position A1 A2 copies', copies of A1 by person; its prefix."""
    n_people = len(fam.splitlines())
    bim, bed = [], BED
    for variant in variants:
        contig, position, a1, a2, copies = variant.split()
        bim.append(f"{contig}\t.\t0\t{position}\t{a1}\t{a2}\n")
        codes = [CODES[letter] for letter in copies] + [0] * (-n_people % 4)
        bed += bytes(sum(codes[first + k] << 2 * k for k in range(4)) for first in range(0, len(codes), 4))
    (folder / "a.bim").write_text("".join(bim))
    (folder / "a.fam").write_text(fam)
    (folder / "a.bed").write_bytes(bed)
    return folder / "a"


def write_fasta(folder: Path, **sequences: str) -> Path:
    path = folder / "reference.fa"
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    return path


def test_plink__calls_by_copies_of_a1(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 G A 01.20")
    table, totals = read_calls({"plink": str(prefix)})
    (row,) = table.to_pylist()
    assert (row["contig"], row["position"], row["ref"], row["alt"]) == ("1", 100, "A", "G")
    assert calls(table) == [["1:0/1", "2:./.", "3:1/1"]]
    assert (row["n_called"], row["n_het"], row["n_hom_alt"], row["n_not_called"]) == (4, 1, 1, 1)
    assert totals.counts["genotypes"] == 5


def test_plink__the_file_or_its_prefix_or_a_glob(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 G A 01.20")
    for path in (prefix, f"{prefix}.bed", tmp_path / "*.bed", tmp_path / "*"):
        assert read_calls({"plink": str(path)})[0].num_rows == 1


def test_plink__a1_as_the_reference(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 G A 01.20")
    table, _ = read_calls({"plink": str(prefix), "reference_allele": "a1"})
    assert table.select(["ref", "alt"]).to_pylist() == [{"ref": "G", "alt": "A"}]
    assert calls(table) == [["0:1/1", "1:0/1", "2:./.", "4:1/1"]]


def test_plink__the_sequence_decides_on_the_reference(tmp_path: Path):
    fasta = write_fasta(tmp_path, **{"1": "ACGTACGT" + "A" * 92})
    prefix = write_set(tmp_path, "1 1 G A 01.20", "1 2 C T 01.20", "1 3 C T 01.20", "1 4 TA T 01.20")
    table, _ = read_calls({"plink": str(prefix)}, reference_fasta=str(fasta))
    found = [(row["ref"], row["alt"], row["site_reasons"]) for row in table.to_pylist()]
    # The third fits neither: another strand. The fourth fits both: A2, as without a sequence.
    assert found == [
        ("A", "G", []),
        ("C", "T", []),
        ("T", "C", ["ref_differs_from_fasta"]),
        ("T", "TA", []),
    ]
    assert calls(table)[:2] == [["1:0/1", "2:./.", "3:1/1"], ["0:1/1", "1:0/1", "2:./.", "4:1/1"]]


def test_plink__the_sequence_is_of_another_build(tmp_path: Path):
    fasta = write_fasta(tmp_path, **{"1": "A" * 200})
    others = [f"1 {position} C G 01.20" for position in range(1, 61)]
    prefix = write_set(tmp_path, *others, *(f"1 {position} C A 01.20" for position in range(61, 101)))
    assert faults_of({"plink": str(prefix)}, reference_fasta=str(fasta)) == [
        f"{prefix}.bim: alleles: found neither allele of 60 of 100 SNPs in the reference's sequence, "
        "wanted positions of GRCh37 and alleles of its forward strand"
    ]


def test_plink__haploid_calls_by_region_and_sex(tmp_path: Path):
    prefix = write_set(
        tmp_path, "23 5000000 T C 21022", "25 100000 T C 22222", "24 5000000 T C .2.0.", "26 9 T C 20020"
    )
    table, _ = read_calls({"plink": str(prefix)})
    assert table.column("contig").to_pylist() == ["X", "X", "Y", "MT"]
    assert calls(table) == [
        ["0:1/1", "1:0/1", "3:1", "4:1/1"],
        ["0:1/1", "1:1/1", "2:1/1", "3:1/1", "4:1/1"],
        ["0:./.", "1:1", "2:./.", "4:./."],
        ["0:1", "3:1"],
    ]


@pytest.mark.parametrize(("reference", "name"), [("GRCh37", "1"), ("GRCh38", "chr1")])
def test_plink__names_of_contigs_are_those_of_the_reference(tmp_path: Path, reference: str, name: str):
    prefix = write_set(tmp_path, "1 100 G A 01.20", "chr1 200 G A 01.20", "01 300 G A 01.20")
    table, _ = read_calls({"plink": str(prefix)}, reference=reference)
    assert table.column("contig").to_pylist() == [name] * 3


def test_plink__variants_without_an_alternate_or_contig_are_counted(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 0 A 00.00", "0 200 G A 01.20", "1 300 D I 01.20", "1 400 G A 01.20")
    table, totals = read_calls({"plink": str(prefix)})
    assert table.column("site_reasons").to_pylist() == [["not_bases"], []]
    assert totals.counts["no_alternate_allele"] == totals.counts["contig_outside_reference"] == 1


def test_plink__any_parts_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.ingest.sources.plink.FEWEST_VARIANTS", 1)
    random = np.random.default_rng(1)
    variants = [f"1 {100 + n} G A {''.join(random.choice(list('012.'), 5))}" for n in range(29)]
    prefix = write_set(tmp_path, *variants)
    whole, totals = read_calls({"plink": str(prefix)})
    for n_parts in (2, 7, 29):
        table, others = read_calls({"plink": str(prefix)}, parts=n_parts)
        assert rows(table) == rows(whole)
        assert others.counts == totals.counts
    assert whole.num_rows > 20


def test_variants_per_part__within_limits():
    assert variants_per_part(10**6, 100, 16) == 62_501
    assert variants_per_part(100, 100, 16) == 1000
    assert variants_per_part(10**6, 500_000, 16) == 128
    assert variants_per_part(10, 10**8, 16) == 1


def test_plink__several_sets_of_the_same_people(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = write_set(tmp_path / "one", "1 100 G A 01.20")
    two = write_set(tmp_path / "two", "2 100 G A 01.20")
    table, _ = read_calls({"plink": [str(one), str(two)]})
    assert table.column("contig").to_pylist() == ["1", "2"]
    write_set(tmp_path / "two", "2 100 G A 01.20", fam=FAM.replace("F1", "G1"))
    assert faults_of({"plink": [str(one), str(two)]}) == [
        f"{two}.bed: .fam: found other samples, or another order, wanted those of {one}.bed"
    ]


SPOILT = {
    "cut": ("bed", lambda bed: bed[:-1]),
    "magic": ("bed", lambda bed: b"\x1f\x8b\x08" + bed[3:]),
    "order": ("bed", lambda bed: BED[:2] + b"\0" + bed[3:]),
    "pgen": ("bed", lambda bed: BED[:2] + b"\x10" + bed[3:]),
    "one more variant": ("bim", lambda bim: bim + b"1\t.\t0\t300\tG\tA\n"),
    "four more people": ("fam", lambda fam: fam + b"A A 0 0 0 0\nB B 0 0 0 0\nC C 0 0 0 0\nD D 0 0 0 0\n"),
    "empty fam": ("fam", lambda fam: b""),
    "short fam": ("fam", lambda fam: b"F1 F1 0 0 2\n" * 5),
    "short bim": ("bim", lambda bim: bim[:-3] + b"\n"),
    "long bim": ("bim", lambda bim: bim[:-1] + b"\tT\n"),
    "no position": ("bim", lambda bim: bim.replace(b"200", b"x")),
    "other build": ("bim", lambda bim: bim.replace(b"1\t.\t0\t200", b"21\t.\t0\t48129897")),
}
"""Fault -> the file of a set, and what becomes of its content."""


def spoil(prefix: Path, kind: str) -> None:
    suffix, change = SPOILT[kind]
    path = prefix.with_suffix(f".{suffix}")
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("cut", ".bed: size: found 6 bytes, wanted 7, for 2 variants of the .bim and 5 people of the .fam"),
        ("magic", ".bed: magic number: found bytes 1f 8b 08, wanted 6c 1b 01, as every .bed of PLINK 1"),
        (
            "order",
            ".bed: order: found one row for each person, wanted one row for each variant; "
            "`plink --make-bed` writes it so",
        ),
        (
            "pgen",
            ".bed: magic number: found bytes 6c 1b 10, wanted a .bed of PLINK 1; "
            "a file of PLINK 2 is `input.pgen`",
        ),
        (
            "one more variant",
            ".bed: size: found 7 bytes, wanted 9, for 3 variants of the .bim and 5 people of the .fam",
        ),
        (
            "four more people",
            ".bed: size: found 7 bytes, wanted 9, for 2 variants of the .bim and 9 people of the .fam",
        ),
        ("empty fam", ".fam: people: found an empty file, wanted a line for each person"),
        (
            "short fam",
            ".fam: person 1: found 5 columns, wanted 6: family, sample_id, father, mother, sex, status",
        ),
        ("short bim", ".bim: variant 2: found '1 . 0 200 G', wanted 6 columns: CHROM, ID, CM, POS, A1, A2"),
        ("no position", ".bim: variant 2: found '1 . 0 x G A', wanted 6 columns: CHROM, ID, CM, POS, A1, A2"),
        (
            "long bim",
            ".bim: variant 2: found '1 . 0 200 G A T', wanted 6 columns: CHROM, ID, CM, POS, A1, A2",
        ),
        (
            "other build",
            ".bim: variant 2: found position 48129897, wanted 1 to 48129895, the length of 21 in GRCh37",
        ),
    ],
)
def test_plink__one_fault_for_a_bad_set(tmp_path: Path, kind: str, wanted: str):
    prefix = write_set(tmp_path, "1 100 G A 01.20", "1 200 G A 01.20")
    spoil(prefix, kind)
    assert faults_of({"plink": str(prefix)}) == [f"{prefix}{wanted}"]


@pytest.mark.parametrize(
    ("suffix", "wanted"),
    [
        ("bim", "input: found no such file, wanted the variants' file"),
        ("fam", "people: found no such file, wanted a .fam or .psam file"),
    ],
)
def test_plink__a_file_of_the_set_is_absent(tmp_path: Path, suffix: str, wanted: str):
    prefix = write_set(tmp_path, "1 100 G A 01.20")
    prefix.with_suffix(f".{suffix}").unlink()
    assert faults_of({"plink": str(prefix)}) == [f"{prefix}.{suffix}: {wanted}"]


def test_plink__absent(tmp_path: Path):
    assert faults_of({"plink": f"{tmp_path}/none"}) == [
        f"{tmp_path}/none.bed: input.plink: found no such file, "
        "wanted a .bed file, its prefix, or a glob of some"
    ]


def test_plink__a_file_that_shrinks_while_it_is_read(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 G A 01.20", "1 200 G A 01.20")
    config = run_config({"plink": str(prefix)})
    source, reference = open_source(config.input), Reference("GRCh37", None)
    headers, _ = source.inspect(reference)
    (part,) = source.parts(headers, 1, reference)
    assert isinstance(part, PlinkPart)
    spoil(prefix, "cut")
    with pytest.raises(InputError, match=r"size: found fewer bytes than when the run began"):
        list(part.records(read_settings(config, config.resolved_profile(), headers).records))


def test_plink__equals_the_vcf_that_plink2_made_it_of(tmp_path: Path, plink2: str):  # noqa: F811
    vcf = write_vcf(tmp_path / "cohort.vcf", *RECORDS)
    prefix = convert(plink2, vcf, "--make-bed")
    of_vcf, of_plink = (read_calls({key: str(path)})[0] for key, path in (("vcf", vcf), ("plink", prefix)))
    assert of_plink.num_rows == len(RECORDS)
    # PLINK 1 has no FILTER, and no INFO.
    assert rows(of_plink, "filters", "site_reasons") == rows(of_vcf, "filters", "site_reasons")


def test_plink__people_and_variants_of_a_simulated_study(shared_data: Path):
    prefix = shared_data / "10_gennet_plink_to_gene" / "plink" / "GenNet_simulation"
    table, totals = read_calls({"plink": str(prefix)})
    assert totals.counts["records"] == table.num_rows == 100
    assert totals.counts["genotypes"] == 100 * 14_000
    # Copies of A1, read in another way.
    bed = np.fromfile(f"{prefix}.bed", dtype=np.uint8)[3:].reshape(100, -1)
    codes_VP = np.stack([bed >> shift & 3 for shift in (0, 2, 4, 6)], axis=2).reshape(100, -1)
    assert table.column("n_het").to_pylist() == (codes_VP == 2).sum(axis=1).tolist()
    assert table.column("n_hom_alt").to_pylist() == (codes_VP == 0).sum(axis=1).tolist()


def test_plink__a_sequence_that_is_absent_is_told_elsewhere(tmp_path: Path):
    prefix = write_set(tmp_path, "1 100 G A 01.20")
    assert faults_of({"plink": str(prefix)}, reference_fasta=f"{tmp_path}/none.fa") == []


def test_plink__no_variants(tmp_path: Path):
    prefix = write_set(tmp_path)
    assert faults_of({"plink": str(prefix)}) == []
    assert read_calls({"plink": str(prefix)})[0].num_rows == 0


def test_check__plink_without_genotype_fields_and_with_other_people(mini: MiniInputs, tmp_path: Path):
    prefix = write_set(tmp_path, "1 1100 G A 01.20")
    mini.settings |= {"input": {"plink": str(prefix)}, "annotation": {"kind": "intervals"}}
    mini.settings["masks"] = {"preset": "any"}
    assert check(build_config(EtlConfig, mini.settings, "test")) == [
        f"{prefix}.bed: .fam: found 4 people of {mini.samples} absent, wanted all of them",
        f"{mini.samples}: samples: found 5 people of {prefix}.bed absent, wanted all of them",
        f"{prefix}.bed: FORMAT: found GT, wanted also AD, DP, GQ, PL for genotype quality control "
        "(genotype_qc: skip does without it)",
    ]
    del mini.settings["samples"]
    assert check(build_config(EtlConfig, mini.settings | {"genotype_qc": "skip"}, "test")) == []


def test_plan__a_changed_bed_is_read_again(mini: MiniInputs, tmp_path: Path):
    prefix = write_set(tmp_path, "1 1100 G A 01.20")
    mini.settings |= {"input": {"plink": str(prefix)}, "genotype_qc": "skip"}
    before = plan(build_config(EtlConfig, mini.settings, "test"))[0]
    assert [Path(path).suffix for path in before.inputs] == [".bed", ".bim", ".fam"]
    write_set(tmp_path, "1 1100 G A 01.22")
    after = plan(build_config(EtlConfig, mini.settings, "test"))[0]
    assert {path for path in before.inputs if before.inputs[path] != after.inputs[path]} == {f"{prefix}.bed"}
    assert before.digest != after.digest
