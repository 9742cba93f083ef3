"""Odd and hostile files: the calls that bcftools gives, a counted reason, or a fault."""

import gzip
from pathlib import Path

import pysam.bcftools
import pytest

from contract.errors import InputError
from etl.bgzf import END_OF_FILE, compress
from etl.ingest.ranges import FileRange, read_text
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
    defaults = ["1", "1000", ".", "A", "G", ".", ".", ".", "GT"]
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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reading__blank_lines_and_comments_anywhere(tmp_path: Path, end: str):
    path = written(tmp_path, "0/0 0/1 1/1", "1 2000 . A T . . . GT 0/1 0/0 ./.", end=end)
    wanted = ["G 1:0/1 2:1/1", "T 0:0/1 2:./."]
    assert calls(seen(path)) == wanted
    lines = path.read_bytes().split(end.encode())
    lines[2:2] = [b"", b"  "]
    lines[-2:-2] = [b"", b"\t \t", b"# a comment"]
    path.write_bytes(end.encode().join([*lines, b"", b" " * 100, b""]))
    assert calls(seen(path)) == wanted
    assert seen(path).totals.counts["records"] == 2


def test_reading__a_second_header_must_name_the_same_people(tmp_path: Path):
    path = written(tmp_path, "0/0 0/1 1/1")
    once = path.read_text()
    path.write_text(once + once.replace("1000", "1001"))
    assert calls(seen(path)) == ["G 1:0/1 2:1/1"] * 2
    path.write_text(once + once.replace("A\tB\tC", "B\tA\tC"))
    assert seen(path).faults == [
        f"{path}: a further #CHROM line: found other samples, or another order, "
        "wanted those of the file's first header"
    ]


@pytest.mark.parametrize(
    ("value", "number"),
    [("45.95", 45), ("1e1", 10), ("nan", -1), ("inf", -1), ("-inf", -1), ("1e40", -1), ("-7", -1), (".", -1)],
)
def test_reading__numbers_that_are_none(tmp_path: Path, value: str, number: int):
    found = seen(written(tmp_path, f"1 1000 . A G . . . GT:DP:GQ 0/1:{value}:{value} 0/0:30:40 0/0:30:40"))
    assert found.rows is not None
    assert found.rows.column("dp").to_pylist() == found.rows.column("gq").to_pylist() == [[number]]
    assert found.totals.sums_8P is not None
    assert found.totals.sums_8P[0].tolist() == [int(number >= 0), 1, 1]


def test_reading__empty_format(tmp_path: Path):
    path = written(tmp_path, "1 1000 . A G . . .  0/1 0/0 0/0")
    assert seen(path).faults == [f"{path}: record 1:1000: found FORMAT '', wanted names of fields, or a dot"]


@pytest.mark.parametrize("width", [100, 10**6])
def test_read_text__no_single_damaged_byte_hides_a_line(tmp_path: Path, width: int):
    records = [f"1\t{position}\t.\tA\tG\t.\t.\t.\tGT\t0/0\t0/1\t1/1\n" for position in range(100, 124)]
    blocks = [*records[:4], "".join(records[4:9]), "".join(records[9:])]
    content = b"".join(compress(block.encode()) for block in blocks) + END_OF_FILE
    path = tmp_path / "a.vcf.gz"
    n_told = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :])
        parts = [
            FileRange(start, str(path), "bgzip", start, min(start + width, len(content)))
            for start in range(0, len(content), width)
        ]
        try:
            text = b"".join(piece for part in parts for piece in read_text(part))
        except InputError as error:
            assert "found unreadable content" in str(error)  # noqa: PT017
            n_told += 1
        else:
            # Time stamps and the like may differ.
            assert text.decode() == "".join(records), f"byte {place}"
    assert n_told > len(content) / 2


def test_reading__bcf_header_that_htslib_reads_otherwise(tmp_path: Path):
    path = as_bcf(written(tmp_path, "0/0 0/1 1/1"))
    content = gzip.decompress(path.read_bytes())
    assert b"\tB\tC\n" in content
    path.write_bytes(compress(content.replace(b"\tB\tC\n", b"\tB\t\0\n")) + END_OF_FILE)
    assert seen(path).faults == [f"{path}: BCF header: found 2 samples, wanted 3, as the columns name"]


@pytest.mark.parametrize("padding", [b"", b"\0" * 512])
def test_read_header__gzip_of_a_header_alone(tmp_path: Path, padding: bytes):
    path = tmp_path / "a.vcf.gz"
    text = written(tmp_path).read_bytes()
    path.write_bytes(gzip.compress(text[:300]) + gzip.compress(text[300:]) + padding)
    found = seen(path)
    assert (found.faults, found.n_rows, found.n_people) == ([], 0, 3)
    path.write_bytes(gzip.compress(text)[:-9])
    assert seen(path).faults == [
        f"{path}: compression: found unreadable content (the file ends within its compressed content), "
        "wanted a complete VCF file"
    ]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tA\tB", "#CHROM POS ID REF ALT QUAL FILTER INFO …"),
        (COLUMNS, "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"),
        (COLUMNS.lower().replace(" ", "\t"), "… … … … … … … … …"),
    ],
)
def test_read_header__a_wrong_column_line_names_nobody(tmp_path: Path, columns: str, found: str):
    path = tmp_path / "a.vcf"
    path.write_text(HEADER + columns + "\n")
    wanted = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT and samples, separated by tabs"
    assert seen(path).faults == [f"{path}: #CHROM line: found {found}, wanted {wanted}"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "nothing"),
        (gzip.compress(b""), "nothing"),
        (b"\x1b[2Jx\0##file", r"\x1b[2Jx\x00##file"),
        (b"\xef\xbb\xbf##fileformat=VCFv4.2\n", "a byte order mark and ##fileformat=VCFv4.2"),
    ],
)
def test_read_header__no_vcf(tmp_path: Path, content: bytes, found: str):
    path = tmp_path / "a.vcf"
    path.write_bytes(content)
    assert seen(path).faults == [f"{path}: first line: found {found}, wanted ##fileformat=VCF…"]


def test_read_header__a_folder(tmp_path: Path):
    assert seen(tmp_path).faults == [
        f"{tmp_path}: input.vcf: found Is a directory, wanted a readable VCF file"
    ]


@pytest.mark.parametrize("position", ["", ".", "-5", "1e3", "1 0", "9" * 5000])
def test_reading__a_position_that_is_no_number(tmp_path: Path, position: str):
    path = written(tmp_path, "0/0 0/1 1/1")
    path.write_text(path.read_text().replace("\t1000\t", f"\t{position}\t"))
    assert seen(path).faults == [f"{path}: record 1: found POS '{position[:40]}', wanted a whole number"]


def test_reading__numbers_of_the_wrong_length_and_kind(tmp_path: Path):
    header = HEADER.replace("ID=DP,Number=1", "ID=DP,Number=.").replace("G,Type=Integer", "G,Type=Float")
    text = "1 1000 . A G . . . GT:AD:DP:GQ:PL"
    path = written(
        tmp_path,
        f"{text} 0/0:30,0:30,31:99:0.0,60.5,900 0/1:15,15:30:99:400.9,0,400 1/1:0,30:30:9e1:900,90,.",
        f"{text} 0/0:30,0:30:99 0/1 .",
        header=header,
    )
    assert calls(seen(path, "apply")) == ["G 1:0/1 2:1/1", "G 1:fail 2:./."]


@pytest.mark.parametrize(
    ("alleles", "calls_text", "wanted", "reasons"),
    [
        (
            "A G,*,<NON_REF>",
            "0/1 1/2 2/3",
            ["G 0:0/1 1:0/1", "* 1:0/1 2:0/1", "<NON_REF> 2:0/1"],
            {"not_bases": 2},
        ),
        ("a g,G", "0/1 0/2 1/1", ["G 0:0/1 2:1/1"], {"repeated_allele": 1}),
        ("a A,g", "0/1 0/2 1/1", ["A 0:0/1 2:1/1", "G 1:0/1"], {"ref_equals_alt": 1}),
        ("R Y", "0|1 0|0 1|1", ["Y 0:0/1 2:1/1"], {"not_bases": 1}),
        ("A,C G", "0|1 0|0 1|1", ["G 0:0/1 2:1/1"], {"not_bases": 1}),
        ("A .", "0/0 0/0 ./.", [], {"no_alternate_allele": 1}),
        ("A G,.", "0/1 0/2 1/2", ["G 0:0/1 2:0/1", ". 1:0/1 2:0/1"], {"not_bases": 1}),
        ("A é", "0/1 0/0 .", ["É 0:0/1 2:./."], {"not_bases": 1}),
        ("A G[1:5[", "0/1 0/0 1", ["G[1:5[ 0:0/1 2:1"], {"not_bases": 1}),
    ],
)
def test_reading__odd_alleles_are_counted(
    tmp_path: Path, alleles: str, calls_text: str, wanted: list[str], reasons: dict[str, int]
):
    found = seen(written(tmp_path, f"1 5 . {alleles} . . . GT {calls_text}"))
    assert calls(found) == wanted
    assert found.reasons == reasons


@pytest.mark.parametrize("alleles", ["A G,", "A ,G", "A G,,T", "A, G"])
def test_reading__an_empty_allele_is_a_fault(tmp_path: Path, alleles: str):
    path = written(tmp_path, f"1 5 . {alleles} . . . GT 0/1 0/0 1/1")
    (told,) = seen(path).faults
    assert told.startswith(f"{path}: record 1:5: found ")
    assert told.endswith(", wanted an allele")


def test_reading__very_long_lines_and_alleles(tmp_path: Path):
    ref = "CA" * 40_000
    path = written(
        tmp_path,
        f"1 5 . {ref} {ref}CA . . CSQ={'x' * 20_000_000} GT 0/1 0/0 1/1",
        f"1 9 . A G . . CSQ={'y' * 20_000_000} GT 0/0 0/1 0/0",
    )
    found = seen(path)
    assert found.rows is not None
    assert [(row["position"], row["ref"], row["alt"]) for row in found.rows.to_pylist()] == [
        (5, "C", "CAC"),
        (9, "A", "G"),
    ]


def test_reading__telomeres_are_counted_and_other_positions_outside_are_faults(tmp_path: Path):
    path = written(tmp_path, "1 0 . A G . . . GT 0/1 0/0 0/0", "1 249250622 . A G . . . GT 0/1 0/0 0/0")
    assert seen(path).reasons == {"at_telomere": 2}
    path = written(tmp_path, "1 249250623 . A G . . . GT 0/1 0/0 0/0")
    assert seen(path).faults == [
        f"{path}: record 1:249250623: found position 249250623, wanted 1 to 249250621, "
        "the length of 1 in GRCh37"
    ]


@pytest.mark.parametrize(
    ("text", "filters"),
    [(".", []), ("PASS", []), ("q10;", ["q10"]), (";", []), ("PASS;q10", ["PASS", "q10"])],
)
def test_reading__filters(tmp_path: Path, text: str, filters: list[str]):
    found = seen(written(tmp_path, f"1 5 . A G . {text} . GT 0/1 0/0 1/1"))
    assert found.rows is not None
    assert found.rows.column("filters").to_pylist() == [filters]
    assert found.reasons == ({"filter_not_pass": 1} if filters else {})


@pytest.mark.parametrize("width", [7, 40, 10**6])
def test_totals__records_out_of_order_in_any_ranges(tmp_path: Path, width: int):
    positions = [500, 400, 600, 600, 100, 700, 650]
    path = written(tmp_path, *(f"1 {position} . A G . . . GT 0/1 0/0 1/1" for position in positions))
    size = path.stat().st_size
    parts = [
        FileRange(number, str(path), "text", start, min(start + width, size))
        for number, start in enumerate(range(0, size, width))
    ]
    found = outcome(path, "GRCh37", "skip", parts)
    assert found.reasons == {"records_out_of_order": 3, "repeated": 1}
