import hail as hl
import pytest

from etl.qc.genotype import genotype_failures, sparse_cohort
from etl.thresholds import GenotypeThresholds
from tests.etl.mini import HEADER, vcf_text, write_bgzip

pytestmark = pytest.mark.usefixtures("hail_session")
LIMITS = GenotypeThresholds(
    min_dp=10,
    min_gq_hom_ref=20,
    min_pl_hom_ref=20,
    min_allele_balance_het=0.2,
    min_allelic_reads_het=0.8,
    min_allele_balance_hom_var=0.8,
)
CASES = [  # GT:AD:DP:GQ:PL, what it fails
    ("0/0:30,0:30:60:0,60,900", set()),
    ("0/0:10,0:10:20:0,20,300", set()),  # at both limits
    ("0/0:9,0:9:27:0,27,300", {"depth"}),
    ("0/0:30,0:30:19:0,19,900", {"genotype_quality"}),
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
    ("0/1:.:30:99:400,0,400", {"allele_balance", "allelic_reads"}),
    ("1:0,30:30:60:900,0", set()),  # haploid
    ("0:30,0:30:60:0,900", set()),
]


@pytest.fixture(scope="module")
def mt(tmp_path_factory: pytest.TempPathFactory, hail_session: None) -> hl.MatrixTable:
    people = tuple(f"P{number:02d}" for number in range(len(CASES)))
    calls = "\t".join(call for call, _ in CASES)
    record = f"chr1\t1000\t.\tA\tC\t50\tPASS\t.\tGT:AD:DP:GQ:PL\t{calls}\n"
    path = write_bgzip(tmp_path_factory.mktemp("vcf") / "a.vcf.bgz", vcf_text(HEADER, people, [record]))
    return hl.import_vcf(str(path), reference_genome="GRCh38", array_elements_required=False)


def test_genotype_failures__every_rule_and_its_limit(mt: hl.MatrixTable):
    failures = genotype_failures(mt, LIMITS)
    told = mt.select_entries(**failures).entries().collect()
    found = {row.s: {reason for reason in failures if row[reason]} for row in told}
    assert [found[f"P{number:02d}"] for number in range(len(CASES))] == [wanted for _, wanted in CASES]


def test_sparse_cohort__keeps_what_is_not_a_passing_homozygous_reference(mt: hl.MatrixTable):
    sparse = sparse_cohort(mt, genotype_failures(mt, LIMITS))
    found = {row.s: None if row.GT is None else str(row.GT) for row in sparse.entries().collect()}
    wanted = {}
    for number, (call, failed) in enumerate(CASES):
        genotype = call.split(":")[0]
        if failed or genotype == "./.":
            wanted[f"P{number:02d}"] = None
        elif set(genotype) & {"1"}:
            wanted[f"P{number:02d}"] = genotype
    assert found == wanted
    assert set(sparse.entry) == {"GT", "AD", "DP", "GQ"}


def test_sparse_cohort__counts_by_variant(mt: hl.MatrixTable):
    (calls,) = sparse_cohort(mt, genotype_failures(mt, LIMITS)).calls.collect()
    failing = [failed for _, failed in CASES if failed]
    assert (calls.n, calls.n_not_called) == (len(CASES), 1)
    assert calls.n_called == len(CASES) - 1 - len(failing)
    assert (calls.n_het, calls.n_hom_var) == (2, 2)  # one of the homozygous is haploid
    assert dict(calls.failed) == {
        reason: sum(reason in failed for failed in failing)
        for reason in ("depth", "genotype_quality", "allele_balance", "allelic_reads")
    }


def test_sparse_cohort__without_rules_every_call_is_trusted(mt: hl.MatrixTable):
    (calls,) = sparse_cohort(mt, {}).calls.collect()
    assert (calls.n_called, calls.n_not_called) == (len(CASES) - 1, 1)
