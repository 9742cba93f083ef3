import gzip
import logging
from pathlib import Path

import hail as hl
import pytest

from etl.config import VcfConfig
from etl.ingest.files import read_headers
from etl.ingest.vcf import read_vcf
from tests.etl.mini import HEADER, RECORDS, vcf_text, write_bgzip

pytestmark = pytest.mark.usefixtures("hail_session")
X_HEADER = HEADER.replace("##contig=<ID=chr1,length=248956422>", "##contig=<ID=chrX,length=156040895>")


def read(config: VcfConfig, reference: str = "GRCh38") -> hl.MatrixTable:
    return read_vcf(config, read_headers(config, reference), reference)


def calls(mt: hl.MatrixTable) -> list[list[str | None]]:
    rows = mt.annotate_rows(calls=hl.agg.collect(hl.str(mt.GT))).rows()
    return rows.calls.collect()


def test_read_vcf__bgzip_and_plain_gzip_together(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_bgzip(tmp_path / "a.vcf.gz", vcf_text(records=RECORDS[:1]))
    (tmp_path / "b.vcf.gz").write_bytes(gzip.compress(vcf_text(records=RECORDS[1:]).encode()))
    with caplog.at_level(logging.WARNING):
        mt = read(VcfConfig(vcf=[f"{tmp_path}/*.vcf.gz"]))
    assert mt.locus.position.collect() == [1100, 1200]
    assert calls(mt)[0] == ["0/0", "0/1", "0/0", "0/1"]
    assert "1 of 2 files are plain gzip" in caplog.text
    assert "b.vcf.gz" in caplog.text


def test_read_vcf__bgzip_alone_needs_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = write_bgzip(tmp_path / "a.vcf.bgz", vcf_text())
    with caplog.at_level(logging.WARNING):
        assert read(VcfConfig(vcf=[str(path)])).count() == (2, 4)
    assert "gzip" not in caplog.text


@pytest.mark.parametrize(
    ("half_calls", "wanted"),
    [("missing", ["0/0", None, None, "1"]), ("haploid", ["0/0", "0", "1", "1"])],
)
def test_read_vcf__half_calls(tmp_path: Path, half_calls: str, wanted: list[str | None]):
    record = "chrX\t5000000\t.\tA\tG\t50\tPASS\t.\tGT\t0/0\t0/.\t1|.\t1\n"
    path = write_bgzip(tmp_path / "x.vcf.bgz", vcf_text(X_HEADER, records=[record]))
    assert calls(read(VcfConfig(vcf=[str(path)], half_calls=half_calls)))[0] == wanted


def test_read_vcf__half_calls_where_everybody_is_diploid(tmp_path: Path):
    record = "chr1\t5000\t.\tA\tG\t50\tPASS\t.\tGT\t0/0\t0/.\t1|.\t0/1\n"
    path = write_bgzip(tmp_path / "a.vcf.bgz", vcf_text(X_HEADER, records=[record]))
    assert calls(read(VcfConfig(vcf=[str(path)], half_calls="haploid")))[0] == ["0/0", None, None, "0/1"]


def test_read_vcf__half_calls_with_other_fields_behind(tmp_path: Path):
    record = "chrX\t5000000\t.\tA\tG\t50\tPASS\t.\tGT:DP\t0/.:7\t0/1:30\t./.:0\t1/.:9\n"
    path = write_bgzip(tmp_path / "x.vcf.bgz", vcf_text(X_HEADER, records=[record]))
    mt = read(VcfConfig(vcf=[str(path)], half_calls="haploid"))
    assert calls(mt)[0] == ["0", "0/1", None, "1"]
    assert mt.DP.collect() == [7, 30, 0, 9]


def test_read_vcf__quality_with_decimals_is_rounded_down(tmp_path: Path):
    path = write_bgzip(tmp_path / "a.vcf.bgz", vcf_text(records=[RECORDS[0].replace(":99:", ":45.95:")]))
    assert read(VcfConfig(vcf=[str(path)])).GQ.collect() == [60, 45, 60, 45]


def test_read_vcf__men_of_1000_genomes_have_calls_on_x(shared_data: Path):
    folder = shared_data / "05_1kg_phase3_genomewide_1126"
    config = VcfConfig(vcf=[f"{folder}/1KG_phase3_subset_chrX.vcf.gz"], half_calls="haploid")
    sexes = hl.import_table(f"{folder}/sample_annotation.tsv", key="sample.id")
    mt = read(config, "GRCh37")
    mt = mt.filter_rows(mt.locus.in_x_nonpar())
    mt = mt.annotate_cols(sex=sexes[mt.s].sex)
    counts = mt.aggregate_entries(
        hl.agg.group_by(
            mt.sex,
            hl.struct(called=hl.agg.fraction(hl.is_defined(mt.GT)), one=hl.agg.fraction(mt.GT.ploidy == 1)),
        )
    )
    assert counts["M"].called == counts["F"].called == 1
    assert counts["M"].one == 1
    assert counts["F"].one == 0


def test_read_vcf__exome_with_all_gatk_fields(shared_data: Path):
    (path,) = (shared_data / "07_1kg_exome_gatk_1182").glob("*.vcf.gz")
    mt = read(VcfConfig(vcf=[str(path)]), "GRCh37")
    assert mt.count() == (122, 1182)
    assert {"GT", "AD", "DP", "GQ", "PL"} <= set(mt.entry)
    assert mt.GQ.dtype == hl.tint32
    assert mt.aggregate_entries(hl.agg.count_where(hl.is_defined(mt.GQ))) > 10_000
