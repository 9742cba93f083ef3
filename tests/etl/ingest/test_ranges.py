import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from contract.errors import InputError
from etl.bgzf import END_OF_FILE, compress
from etl.ingest.header import read_header
from etl.ingest.ranges import LARGEST_RANGE, SMALLEST_RANGE, FileRange, plan_ranges, read_text
from tests.etl.mini import RECORDS, vcf_text

LINES = [RECORDS[0].replace("1100", str(position)) for position in range(1000, 1400)]
TEXT = vcf_text(records=LINES)


def parts(path: Path, width: int) -> list[FileRange]:
    kind, size = read_header(str(path)).kind, path.stat().st_size
    return [
        FileRange(number, str(path), kind, start, min(start + width, size))
        for number, start in enumerate(range(0, size, width))
    ]


def lines(ranges: list[FileRange]) -> list[str]:
    return b"".join(b"".join(read_text(part)) for part in ranges).decode().splitlines(keepends=True)


def many_blocks(text: str, block: int = 700) -> bytes:
    """Bgzip with small blocks, so that lines cross them."""
    content = text.encode()
    pieces = [content[start : start + block] for start in range(0, len(content), block)]
    return b"".join(compress(piece) for piece in pieces) + END_OF_FILE


@pytest.mark.parametrize("width", [1, 17, 100, 1000, 10**7])
def test_read_text__plain_text_in_any_ranges(tmp_path: Path, width: int):
    path = tmp_path / "a.vcf"
    path.write_text(vcf_text(records=LINES[:40]))
    assert lines(parts(path, width)) == LINES[:40]


@pytest.mark.parametrize("width", [1, 100, 333, 5000, 10**7])
def test_read_text__bgzip_in_any_ranges(tmp_path: Path, width: int):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(many_blocks(vcf_text(records=LINES[:40])))
    assert lines(parts(path, width)) == LINES[:40]


def test_read_text__a_line_longer_than_many_ranges(tmp_path: Path):
    long = RECORDS[0].replace("CSQ=", "CSQ=" + "x" * 20_000)
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(many_blocks(vcf_text(records=[LINES[0], long, LINES[1]])))
    assert lines(parts(path, 200)) == [LINES[0], long, LINES[1]]


def test_read_text__line_ends_at_block_and_range_ends(tmp_path: Path):
    path = tmp_path / "a.vcf.gz"
    blocks = [compress(piece.encode()) for piece in (vcf_text(records=[]), *LINES[:5])]
    path.write_bytes(b"".join(blocks) + END_OF_FILE)
    borders = [0]
    for block in blocks:
        borders.append(borders[-1] + len(block))
    ranges = [
        FileRange(number, str(path), "bgzip", start, stop)
        for number, (start, stop) in enumerate(pairwise(borders))
    ]
    assert lines(ranges) == LINES[:5]


def test_read_text__no_line_end_behind_the_last_record(tmp_path: Path):
    path = tmp_path / "a.vcf"
    path.write_text(TEXT.rstrip("\n"))
    assert lines(parts(path, 5000)) == LINES


def test_read_text__gzip_of_several_members(tmp_path: Path):
    path = tmp_path / "a.vcf.gz"
    middle = len(TEXT) // 2
    path.write_bytes(gzip.compress(TEXT[:middle].encode()) + gzip.compress(TEXT[middle:].encode()))
    assert read_header(str(path)).kind == "gzip"
    assert lines(plan_ranges([read_header(str(path))], 8)) == LINES


def test_read_text__damaged_block_is_named_with_its_place(tmp_path: Path):
    path = tmp_path / "a.vcf.gz"
    content = bytearray(many_blocks(TEXT))
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"a\.vcf\.gz: bytes 0 to \d+: found unreadable content .*, wanted a com"
    ):
        lines(parts(path, 10**7))


def test_read_text__gzip_that_is_cut_off(tmp_path: Path):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    ranges = plan_ranges([read_header(str(path))], 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="the file ends within its gzip content"):
        lines(ranges)


def test_read_text__from_a_url(tmp_path: Path):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(many_blocks(TEXT))
    header = read_header(f"file://{path}")
    assert lines(plan_ranges([header], 1)) == LINES


def test_plan_ranges__sizes_and_files_that_can_not_be_cut(tmp_path: Path):
    text, zipped = tmp_path / "a.vcf", tmp_path / "b.vcf.gz"
    with text.open("wb") as stream:
        stream.write(TEXT.encode())
        stream.truncate(5 * SMALLEST_RANGE)
    zipped.write_bytes(gzip.compress(TEXT.encode()))
    headers = [read_header(str(path)) for path in (text, zipped)]
    ranges = plan_ranges(headers, 1000)
    assert [part.number for part in ranges] == list(range(6))
    assert [part.stop - part.start for part in ranges[:5]] == [SMALLEST_RANGE] * 5
    assert (ranges[5].start, ranges[5].stop) == (0, zipped.stat().st_size)
    assert len(plan_ranges(headers, 1)) == 2
    with text.open("ab") as stream:
        stream.truncate(3 * LARGEST_RANGE)
    assert max(part.stop - part.start for part in plan_ranges(headers[:1], 1)) == LARGEST_RANGE
