from dataclasses import replace
from pathlib import Path

import hail as hl
import numpy as np
import pyarrow as pa

from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, NOT_CALLED
from etl.ingest.split import HAPLOID, Genotypes, list_calls
from etl.ingest.vcf import Reading
from etl.qc.genotype import judge_calls
from etl.thresholds import GenotypeThresholds
from tests.etl.ingest.reading import bipex_limits, calls, read, settings, whole
from tests.etl.mini import HEADER, vcf_text, write_bgzip


def one_person(call: tuple[int, int], ad: list[int], dp: int, gq: int, pl: list[int]) -> Genotypes:
    first, second = (np.array([allele], dtype=np.int16) for allele in call)
    return Genotypes(
        first_P=first,
        second_P=second,
        called_P=(first >= 0) & ((second >= 0) | (second == HAPLOID)),
        ad_PA=np.array([ad], dtype=np.int32),
        dp_P=np.array([dp], dtype=np.int32),
        gq_P=np.array([gq], dtype=np.int32),
        pl_PG=np.array([pl], dtype=np.int32),
    )


def one_allele(genotypes: Genotypes, allele: int, limits: GenotypeThresholds | None) -> dict[str, object]:
    """One of two alternate alleles, listed and judged: codes, what they fail, reads, depth and quality."""
    judged = judge_calls([list_calls(genotypes, allele, 3, limits)], limits)
    names = ("ad_ref", "ad_alt", "dp", "gq")
    told = {name: getattr(judged.listed, f"{name}_E").tolist() for name in names}
    return {"call": judged.code_E.tolist(), "failed": judged.failed_VR[0].tolist(), **told}


def test_list_calls__three_alleles_by_hand():
    # PL in the order 0/0 0/1 1/1 0/2 1/2 2/2.
    genotypes = one_person((1, 2), [3, 10, 12], 26, 40, [500, 90, 200, 80, 0, 150])
    first, second = (one_allele(genotypes, allele, bipex_limits()) for allele in (1, 2))
    # For 1: 2 counts as reference. 0/0 is the least of 0/0 0/2 2/2, 0/1 of 0/1 1/2, 1/1 is 1/1.
    passing = {"call": [HET], "failed": [0, 0, 0, 0], "dp": [26]}
    assert first == passing | {"ad_ref": [15], "ad_alt": [10], "gq": [80]}
    assert second == passing | {"ad_ref": [13], "ad_alt": [12], "gq": [90]}


def test_list_calls__reference_call_without_likelihoods_keeps_its_own_quality():
    genotypes = one_person((0, 0), [30, 0, 0], 30, 60, [-1, -1, -1, -1, -1, -1])
    assert len(list_calls(genotypes, 1, 3, bipex_limits())) == 0


def test_list_calls__partly_missing_likelihoods():
    # 0,60,900,.,.,.: what a merge of biallelic files writes.
    genotypes = one_person((0, 1), [15, 15, 0], 30, 60, [60, 0, 900, -1, -1, -1])
    of_1 = one_allele(genotypes, 1, bipex_limits())
    assert (of_1["call"], of_1["failed"], of_1["gq"]) == ([HET], [0, 0, 0, 0], [60])


def test_list_calls__haploid_call_at_a_multiallelic_site():
    genotypes = one_person((2, HAPLOID), [0, 0, 20], 20, 99, [900, 800, 0, -2, -2, -2])
    of_2 = one_allele(genotypes, 2, bipex_limits())
    assert (of_2["call"], of_2["failed"]) == ([HAPLOID_ALT], [0, 0, 0, 0])
    # Seen from allele 1 it is a reference call: PL of the others 0, of allele 1 800.
    assert len(list_calls(genotypes, 1, 3, bipex_limits())) == 0


def test_list_calls__call_without_reads_is_listed_as_missing_reads():
    genotypes = one_person((0, 1), [-1, -1, -1], 30, 60, [60, 0, 900, 60, 60, 60])
    assert one_allele(genotypes, 1, None)["ad_alt"] == [-1]
    assert one_allele(genotypes, 1, bipex_limits())["failed"] == [0, 0, 1, 1]


def test_judge_calls__alleles_together_as_each_alone():
    genotypes = one_person((1, 2), [3, 10, 12], 9, 40, [500, 90, 200, 80, 0, 150])
    listed = [list_calls(genotypes, allele, 3, bipex_limits()) for allele in (1, 2, 1)]
    together = judge_calls(listed, bipex_limits())
    assert together.n_listed_V.tolist() == [1, 1, 1]
    assert together.failed_VR.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert together.count_VC[:, FAILED].tolist() == [1, 1, 1]


def test_reading__the_men_s_record_that_hail_refuses(tmp_path: Path):
    header = HEADER.replace("chr1,length=248956422", "chrX,length=156040895")
    record = (
        "chrX\t5000000\t.\tA\tG,T\t50\tPASS\t.\tGT:AD:DP:GQ:PL"
        "\t2:0,0,20:20:99:900,900,0\t0/0:30,0,0:30:60:.\t0/1:15,15,0:30:99:99,0,900,.,.,.\t0:20,0,0:20:99:0,900,900\n"
    )
    path = write_bgzip(tmp_path / "x.vcf.bgz", vcf_text(header, records=[record]))
    for judged in (True, False):
        table, _ = read(path, judged=judged)
        assert table.column("alt").to_pylist() == ["G", "T"]
        assert calls(table) == [["2:0/1"], ["0:1"]]
        assert table.column("n_called").to_pylist() == [4, 4]


def test_reading__equals_hail_s_split_on_real_calls(shared_data: Path, hail_session: None):
    path = shared_data / "01_hail_test_resources" / "sample2.vcf.gz"
    mt = hl.import_vcf(str(path), force=True, reference_genome="GRCh37", array_elements_required=False)
    mt = hl.split_multi_hts(mt)
    mt = mt.filter_rows(~mt.alleles[1].matches("[*<]"))
    entries = mt.add_col_index().entries().key_by()
    entries = entries.filter(hl.is_missing(entries.GT) | (entries.GT.n_alt_alleles() > 0))
    minimal = hl.min_rep(entries.locus, entries.alleles)
    wanted = {
        (row.position, row.ref, row.alt, row.person): (row.call, row.ad_ref, row.ad_alt, row.dp, row.gq)
        for row in entries.select(
            position=minimal.locus.position,
            ref=minimal.alleles[0],
            alt=minimal.alleles[1],
            person=hl.int32(entries.col_idx),
            call=hl.or_else(entries.GT.n_alt_alleles(), 0),
            ad_ref=hl.or_else(entries.AD[0], -1),
            ad_alt=hl.or_else(entries.AD[1], -1),
            dp=hl.or_else(entries.DP, -1),
            gq=hl.or_else(entries.GQ, -1),
        ).collect()
    }
    # Likelihoods are read where calls are judged: judge by rules that only calls without reads fail.
    limits = bipex_limits().model_copy(update=dict.fromkeys(type(bipex_limits()).model_fields, 0))
    reading = Reading(whole(path), replace(settings(path, reference="GRCh37", judged=True), limits=limits))
    found = {}
    for row in pa.concat_tables(reading.tables()).to_pylist():
        if "not_bases" not in row["site_reasons"]:
            lists = (row[name] for name in ("person", "call", "ad_ref", "ad_alt", "dp", "gq"))
            found |= {
                (row["position"], row["ref"], row["alt"], person): values
                for person, *values in zip(*lists, strict=True)
            }
    passing = {key: tuple(values) for key, values in found.items() if values[0] in (HET, HOM_ALT)}
    assert len(passing) > 14_000
    assert passing == {key: wanted[key] for key in passing}
    # The rest are people without a call, and a few whose call has neither reads nor depth.
    others = {key: wanted[key][0] for key in wanted.keys() - passing.keys()}
    assert {key: values[0] for key, values in found.items() if values[0] == NOT_CALLED} == {
        key: call for key, call in others.items() if call == 0
    }
    failed = {key for key, call in others.items() if call}
    assert len(failed) < 0.05 * len(passing)
    assert all(wanted[key][3] <= 0 for key in failed)
