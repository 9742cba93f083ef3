"""The rules on written calls, by way of the reader, which splits and judges them."""

from pathlib import Path

import pytest

from etl.cohort.schema import RULES
from etl.ingest.vcf import Reading
from tests.etl.ingest.reading import calls, settings, whole
from tests.etl.mini import HEADER, vcf_text, write_bgzip

CASES = [  # GT:AD:DP:GQ:PL, what it fails
    ("0/0:30,0:30:60:0,60,900", set()),
    ("0/0:10,0:10:20:0,20,300", set()),  # at both limits
    ("0/0:9,0:9:27:0,27,300", {"depth"}),
    ("0/0:30,0:30:19:0,19,900", {"genotype_quality"}),
    ("0/0:5,0:5:9:0,9,90", {"depth", "genotype_quality"}),
    ("0/1:15,15:30:99:400,0,400", set()),
    ("0/1:24,6:30:99:20,0,800", set()),  # balance 0.2, PL 20
    ("0/1:25,5:30:99:20,0,800", {"allele_balance"}),
    ("0/1:15,15:30:10:19,0,400", {"genotype_quality"}),
    ("0/1:12,11:30:99:300,0,400", {"allelic_reads"}),  # 23 of 30 reads show either allele
    ("1/1:6,24:30:60:800,60,0", set()),  # balance 0.8
    ("1/1:7,23:30:60:800,60,0", {"allele_balance"}),
    ("1/1:0,9:9:27:300,27,0", {"depth"}),
    ("0/1:1,3:4:5:5,0,30", {"depth", "genotype_quality"}),
    ("./.:0,0:0:0:0,0,0", set()),  # not called: fails nothing
    ("0/0:.:30:60:.", set()),  # homozygous reference calls need neither AD nor PL
    ("0/0:30,0:.:60:0,60,900", {"depth"}),  # a value that a rule needs is absent
    ("0/0:30,0:30:.:0,60,900", {"genotype_quality"}),
    ("0/1:.:30:99:400,0,400", {"allele_balance", "allelic_reads"}),
    ("0/1:15,15:30:99:.", {"genotype_quality"}),
    ("0/1:0,0:0:99:400,0,400", {"depth", "allele_balance", "allelic_reads"}),
    ("1:0,30:30:60:900,0", set()),  # haploid
    ("1:0,5:5:60:150,0", set()),  # half the depth is enough for one chromosome
    ("0:5,0:5:60:0,150", set()),
    ("1:0,4:4:60:120,0", {"depth"}),
    ("0:4,0:4:60:0,120", {"depth"}),
    ("0:30,0:30:60:0,900", set()),
]


def read_alone(folder: Path, call: str, *, judged: bool) -> Reading:
    record = f"chr1\t1000\t.\tA\tC\t50\tPASS\t.\tGT:AD:DP:GQ:PL\t{call}\n"
    path = write_bgzip(folder / "a.vcf.bgz", vcf_text(HEADER, ("P",), [record]))
    return Reading(whole(path), settings(path, judged=judged))


@pytest.mark.parametrize(("call", "fails"), CASES, ids=[call for call, _ in CASES])
def test_genotype_rules__every_rule_and_its_limit(tmp_path: Path, call: str, fails: set[str]):
    reading = read_alone(tmp_path, call, judged=True)
    (table,) = reading.tables()
    (row,) = table.to_pylist()
    assert {rule for rule, count in zip(RULES, row["failed"], strict=True) if count} == fails
    genotype = call.split(":")[0]
    passing = [] if set(genotype) <= {"0", "/"} else [f"0:{genotype}"]
    assert calls(table) == [["0:fail"] if fails else passing]
    assert row["n_called"] == (not fails and genotype != "./.")
    assert row["n_not_called"] == (genotype == "./.")


@pytest.mark.parametrize(("call", "fails"), CASES, ids=[call for call, _ in CASES])
def test_genotype_rules__skipped_every_call_is_trusted(tmp_path: Path, call: str, fails: set[str]):
    (table,) = read_alone(tmp_path, call, judged=False).tables()
    (row,) = table.to_pylist()
    assert row["failed"] == [0, 0, 0, 0]
    assert row["n_called"] == (call[:3] != "./.")
