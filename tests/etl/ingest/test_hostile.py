"""Odd and hostile files, each small enough to read: the same calls as bcftools gives, a counted reason, or a fault."""

from pathlib import Path

import pysam.bcftools
import pytest

from tests.etl.ingest.outcome import Outcome, outcome

HEADER = """\
##fileformat=VCFv4.2
##FORMAT=<ID=GT,Number=1,Type=String,Description="">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="">
##contig=<ID=1,length=249250621>
##contig=<ID=X,length=155270560>
"""
COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT A B C"
NAMES = {0: "./.", 1: "0/1", 2: "1/1", 3: "1", 4: "fail"}


def line(text: str) -> str:
    """A record written with blanks for tabs; the first columns may be left out from the left."""
    columns = text.split(" ")
    defaults = "1 1000 . A G . . . GT".split(" ")
    return "\t".join(defaults[: max(0, 12 - len(columns))] + columns)


def written(folder: Path, *records: str, header: str = HEADER, end: str = "\n") -> Path:
    path = folder / "a.vcf"
    lines = [*header.splitlines(), COLUMNS.replace(" ", "\t"), *(line(record) for record in records)]
    path.write_bytes((end.join(lines) + end).encode())
    return path


def as_bcf(path: Path) -> Path:
    bcf = path.with_suffix(".bcf")
    pysam.bcftools.view("-Ob", "-o", str(bcf), str(path), catch_stdout=False)
    return bcf


def seen(path: Path, genotype_qc: str = "skip") -> Outcome:
    return outcome(path, "GRCh37", genotype_qc)


def calls(found: Outcome) -> list[str]:
    """Listed calls of each row: 'ALT 0:0/1 2:./.'."""
    assert found.rows is not None, found.faults
    return [
        " ".join([row["alt"], *(f"{p}:{NAMES[c]}" for p, c in zip(row["person"], row["call"], strict=True))])
        for row in found.rows.to_pylist()
    ]


def test_reading__gt_that_nobody_has_where_it_is_not_the_first_field(tmp_path: Path):
    path = written(tmp_path, "DP:GT 5 6 7")
    # htslib would end the process at such a record, without a word to us.
    assert calls(seen(path)) == ["G 0:./. 1:./. 2:./."]
    assert calls(seen(as_bcf(path))) == ["G 0:./. 1:./. 2:./."]


def test_reading__gt_that_is_not_the_first_field(tmp_path: Path):
    path = written(tmp_path, "X 5 . A G,T . . . DP:GT 5:0/1 6:2 7", "DP:GT 5:0/0 . 7:1/1")
    wanted = ["G 0:0/1 2:./.", "T 1:1 2:./.", "G 1:./. 2:1/1"]
    assert calls(seen(path)) == wanted
    assert calls(seen(as_bcf(path))) == wanted


@pytest.mark.parametrize("number", [65536, 65537, 70000, 2**24])
def test_reading__allele_numbers_do_not_come_round(tmp_path: Path, number: int):
    path = written(tmp_path, f"0/0 0/{number} 0/1")
    for kind in (path, as_bcf(path)):
        assert seen(kind).faults == [
            f"{kind}: record 1:1000: found GT with allele {number}, wanted 0 to 1: "
            "the record has 1 alternate alleles"
        ]
