import io
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from etl.ingest.sources import pgen
from etl.ingest.sources.pgen_size import variants_end
from tests.etl.ingest.reading import calls
from tests.etl.ingest.sources.cohorts import (
    RECORDS,
    WITH_MULTIALLELIC,
    convert,
    faults_of,
    plink2,  # noqa: F401 - a fixture
    read_calls,
    rows,
    write_vcf,
)

PSAM = "#FID\tIID\tSEX\tPHENO1\nF\tF1\t2\t2\nM\tM1\t1\t1\n"
PVAR = "##contig=<ID=1,length=249250621>\n#CHROM\tPOS\tID\tREF\tALT\n1\t100\t.\tA\tG\n1\t200\t.\tC\tT\n"


def write_set(folder: Path, *, pvar: str = PVAR, psam: str = PSAM, mode: int = 2) -> Path:
    """Two variants of two people, in the mode without compression: two bits each, copies of ALT."""
    (folder / "a.pvar").write_text(pvar)
    (folder / "a.psam").write_text(psam)
    numbers = np.array([2, 2], dtype="<u4").tobytes()
    (folder / "a.pgen").write_bytes(bytes([0x6C, 0x1B, mode]) + numbers + b"\x40" + bytes([0b1001, 0b1100]))
    return folder / "a"


@pytest.fixture
def pgenlib() -> None:
    pytest.importorskip("pgenlib", reason="no package pgenlib")


@pytest.mark.usefixtures("pgenlib")
def test_pgen__calls_by_copies_of_the_alternate(tmp_path: Path):
    table, _ = read_calls({"pgen": str(write_set(tmp_path))})
    assert table.select(["position", "ref", "alt"]).to_pylist() == [
        {"position": 100, "ref": "A", "alt": "G"},
        {"position": 200, "ref": "C", "alt": "T"},
    ]
    assert calls(table) == [["0:0/1", "1:1/1"], ["1:./."]]


@pytest.mark.usefixtures("pgenlib")
@pytest.mark.parametrize("records", [RECORDS, WITH_MULTIALLELIC])
def test_pgen__equals_the_vcf_that_plink2_made_it_of(
    tmp_path: Path,
    plink2: str,  # noqa: F811
    records: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("etl.ingest.sources.plink.FEWEST_VARIANTS", 1)
    vcf = write_vcf(tmp_path / "cohort.vcf", *records)
    prefix = convert(plink2, vcf, "--make-pgen")
    annotated = {"annotation": {"kind": "csq"}}
    of_vcf, of_pgen = (
        read_calls({key: str(path)}, parts=3, **annotated)[0]
        for key, path in (("vcf", vcf), ("pgen", prefix))
    )
    assert rows(of_pgen) == rows(of_vcf)
    assert of_pgen.column("annotation")[0].as_py() == ["G|stop_gained|ENSG1|ONE|protein_coding"]


@pytest.mark.usefixtures("pgenlib")
def test_pgen__same_calls_as_the_bed_of_the_same_people(shared_data: Path):
    prefix = str(shared_data / "02_regenie" / "example")
    of_pgen, of_bed = read_calls({"pgen": prefix})[0], read_calls({"plink": prefix})[0]
    assert of_pgen.num_rows == 1000
    assert rows(of_pgen) == rows(of_bed)


def spoilt(folder: Path, kind: str) -> Path:
    prefix = write_set(folder, mode=0x20 if kind == "index apart" else 2)
    path = prefix.with_suffix(
        ".pvar" if "variant" in kind or "column" in kind or "contig" in kind else ".psam"
    )
    text = path.read_text()
    changed = {
        "another variant": text + "1\t300\t.\tA\tG\n",
        "no column line": text.replace("#CHROM", "CHROM"),
        "other contig length": text.replace("249250621", "248956422"),
        "variant behind the contig's end": text.replace("1\t200", "1\t249250700"),
        "another person": text + "X\tX\t1\t1\n",
        "no IID": text.replace("\tIID", "\tID"),
    }
    path.write_text(changed.get(kind, text))
    return prefix


@pytest.mark.usefixtures("pgenlib")
@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (
            "index apart",
            ".pgen: magic number: found bytes 6c 1b 20, "
            "wanted 6c 1b and a mode of 02 to 1f, as in a .pgen with its index inside",
        ),
        ("another variant", ".pgen: variants: found 2, wanted 3, as in the .pvar"),
        ("another person", ".pgen: people: found 2, wanted 3, as in the .psam"),
        ("no IID", ".psam: header: found #FID ID SEX PHENO1, wanted a column IID"),
        (
            "no column line",
            ".pvar: column line: found 'CHROM POS ID REF ALT', "
            "wanted #CHROM POS ID REF ALT …, separated by tabs",
        ),
        (
            "other contig length",
            ".pvar: ##contig length of chromosome 1: found 248956422, wanted 249250621 (GRCh37)",
        ),
        (
            "variant behind the contig's end",
            ".pvar: variant 2: found position 249250700, wanted 1 to 249250621, the length of 1 in GRCh37",
        ),
    ],
)
def test_pgen__one_fault_for_a_bad_set(tmp_path: Path, kind: str, wanted: str):
    prefix = spoilt(tmp_path, kind)
    assert faults_of({"pgen": str(prefix)}) == [f"{prefix}{wanted}"]


@pytest.mark.usefixtures("pgenlib")
def test_pgen__a_file_that_is_cut(tmp_path: Path, shared_data: Path):
    prefix = write_set(tmp_path)
    path = prefix.with_suffix(".pgen")
    path.write_bytes(path.read_bytes()[:-1])
    assert faults_of({"pgen": str(prefix)}) == [
        f"{path}: size: found 13 bytes, wanted 14, where its index has the last variant's end"
    ]
    for end in ("pgen", "pvar", "psam"):
        shutil.copyfile(shared_data / f"02_regenie/example.{end}", tmp_path / f"example.{end}")
    path = tmp_path / "example.pgen"
    assert faults_of({"pgen": str(path)}) == []
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert faults_of({"pgen": str(path)}) == [
        f"{path}: size: found 83825 bytes, wanted 83826, where its index has the last variant's end"
    ]
    path.write_bytes(whole[:600])
    assert faults_of({"pgen": str(path)}) == [
        f"{path}: size: found 600 bytes, which end within its index, wanted a whole .pgen"
    ]


def indexed(n_variants: int, starts: list[int], rest: bytes, *, control: int, mode: int = 0x10) -> io.BytesIO:
    head = bytes([0x6C, 0x1B, mode]) + struct.pack("<2I", n_variants, 5) + bytes([control])
    return io.BytesIO(head + struct.pack(f"<{len(starts)}Q", *starts) + rest)


def test_variants_end__by_the_lengths_of_the_last_block():
    # Types of four bits, lengths of one byte: 3 variants of 2, 1 and 4 bytes from byte 25 on.
    assert variants_end(indexed(3, [25], bytes(2) + bytes([2, 1, 4]), control=0x40)) == 32
    # Types of eight bits, lengths of two bytes, counts of alleles and flags of provisional references.
    rest = bytes(1) + struct.pack("<H", 515) + bytes(2)
    assert variants_end(indexed(1, [100], rest, control=0b11_01_0101)) == 615
    # A block of 65,536 variants before the last one of one variant.
    first = bytes(2**16 // 2 + 2**16)
    assert variants_end(indexed(2**16 + 1, [99, 5000], first + bytes([7, 9]), control=0x40)) == 5009


def test_variants_end__of_other_modes_and_of_a_file_that_ends_before():
    assert variants_end(indexed(3, [], bytes(2), control=0x40, mode=0x03)) is None
    assert variants_end(indexed(3, [25], b"", control=0x48)) is None
    with pytest.raises(EOFError, match="the file is cut off"):
        variants_end(indexed(3, [25], bytes(2) + bytes([2, 1]), control=0x40))


@pytest.mark.usefixtures("pgenlib")
def test_pgen__variants_that_are_compressed_or_of_plink_1(tmp_path: Path):
    prefix = write_set(tmp_path)
    shutil.move(f"{prefix}.pvar", f"{prefix}.pvar.zst")
    assert faults_of({"pgen": str(prefix)}) == [
        f"{prefix}.pvar: input.pgen: found a compressed one (.pvar.zst) only, "
        f"wanted `plink2 --pfile {prefix} vzs --make-just-pvar --out {prefix}` to unpack it"
    ]
    shutil.move(f"{prefix}.pvar.zst", f"{prefix}.bim")
    assert faults_of({"pgen": str(prefix)}) == [
        f"{prefix}.pvar: input.pgen: found a .bim only, wanted "
        f"`plink2 --bpfile {prefix} --export vcf bgz --out {prefix}`, which makes a file for `input.vcf`"
    ]


def test_pgen__without_pgenlib_the_command_that_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pgen, "find_spec", lambda name: None)
    prefix = write_set(tmp_path)
    assert faults_of({"pgen": str(prefix)}) == [
        f"{prefix}.pgen: input.pgen: found no package pgenlib to read it with, wanted that package, or "
        f"`plink2 --pfile {prefix} --export vcf bgz --out {prefix}`, which makes a file for `input.vcf`"
    ]
