"""What a reader of the written files can see of the planted truth."""

import re

import numpy as np
import pytest

from etl.simulate.annotation import CSQ_FIELDS

MISSING = -1


def heterozygous_balance(study, person: int) -> np.ndarray:
    rows = study.clean_rows()
    reads = study.calls.reads[rows, person]
    heterozygous = (study.calls.copies[rows, person] == 1) & (reads.sum(axis=1) >= 20)
    return reads[heterozygous, 1] / reads[heterozygous].sum(axis=1)


def clean_people(study) -> list[int]:
    return [i for i, p in enumerate(study.truth.people) if not p.low_quality and p.contamination == 0]


def status_of(study) -> np.ndarray:
    return np.array([person.status == "case" for person in study.truth.people])


def test_cohort__people_and_statuses_agree(study):
    assert study.calls.sample_ids == study.samples.sample_id.tolist()
    assert [person.sample_id for person in study.truth.people] == study.calls.sample_ids
    assert study.samples.status.tolist() == [person.status for person in study.truth.people]
    assert study.samples.sex.tolist() == [person.reported_sex for person in study.truth.people]
    assert (study.samples.status == "case").sum() == 80


def test_cohort__sites_are_sorted_and_counted(study):
    sites = study.calls.sites
    order = {contig: i for i, contig in enumerate(dict.fromkeys(sites.contig))}
    places = [(order[contig], place) for contig, place in zip(sites.contig, sites.position, strict=True)]
    assert places == sorted(set(places))
    assert len(sites) == study.truth.sites
    assert sites.alt.str.split(",").str.len().sum() == study.truth.alleles


def test_cohort__allele_counts_in_info(study):
    biallelic = np.flatnonzero(~study.calls.sites.alt.str.contains(","))
    for row in biallelic[::7]:
        copies = study.calls.copies[row]
        called = copies[copies != MISSING]
        info = dict(item.split("=", 1) for item in study.calls.sites["info"][row].split(";"))
        assert int(info["AC"]) == called.sum() > 0
        assert int(info["AN"]) == 2 * len(called)
        assert float(info["AF"]) == pytest.approx(called.sum() / (2 * len(called)), rel=1e-3)


def test_cohort__quality_is_missing_where_there_is_no_read(study):
    calls = study.calls
    assert np.array_equal(calls.copies == MISSING, calls.depth == 0)
    assert np.array_equal(calls.quality == MISSING, calls.depth == 0)
    assert calls.quality.max() == 99


def test_cohort__allele_balance_of_clean_heterozygotes(study):
    balance = np.concatenate([heterozygous_balance(study, person) for person in clean_people(study)])
    assert len(balance) > 5_000
    assert balance.mean() == pytest.approx(0.49, abs=0.01)


def test_cohort__contaminated_people_show_their_donor(study):
    rows = study.clean_rows()
    impure = {}
    for person, truth in enumerate(study.truth.people):
        reads = study.calls.reads[rows, person]
        alternative = (study.calls.copies[rows, person] == 2) & (reads.sum(axis=1) >= 20)
        impure[person] = reads[alternative, 0].sum() / reads[alternative].sum()
        assert (truth.contaminated_by is None) == (truth.contamination == 0)
    clean = clean_people(study)
    tainted = [i for i, person in enumerate(study.truth.people) if person.contamination]
    assert len(tainted) == 3
    assert min(impure[i] for i in tainted) > 2 * max(impure[i] for i in clean)


def test_cohort__low_quality_people_have_few_reads_and_calls(study):
    depth = study.calls.depth.mean(axis=0)
    call_rate = (study.calls.copies != MISSING).mean(axis=0)
    poor = np.array([person.low_quality for person in study.truth.people])
    assert poor.sum() == 3
    assert depth[poor].max() < 15 < 25 < depth[~poor].min()
    assert call_rate[poor].max() < 0.92 < call_rate[~poor].min()


def test_cohort__men_have_no_heterozygotes_on_x(study):
    female = np.array([person.sex == "female" for person in study.truth.people])
    on_x = np.flatnonzero((study.calls.sites.contig == "chrX") & (study.calls.sites.position > 2_781_479))
    clean = np.zeros(len(female), dtype=bool)
    clean[clean_people(study)] = True
    balance = study.calls.reads[on_x, :, 1] / np.maximum(study.calls.depth[on_x], 1)
    good = (study.calls.depth[on_x] >= 10) & (balance > 0.25)
    heterozygous = (study.calls.copies[on_x] == 1) & good
    assert heterozygous[:, ~female & clean].sum() == 0
    assert heterozygous[:, female & clean].sum() > 20
    errors = [p for p in study.truth.people if p.sex != p.reported_sex]
    assert len(errors) == 3


def test_cohort__genotypes_of_clean_common_variants_fit_hardy_weinberg(study):
    rows, people = study.clean_rows(), clean_people(study)
    copies = np.ma.masked_equal(study.calls.copies[np.ix_(rows, people)], MISSING)
    frequency = copies.mean(axis=1) / 2
    common = np.asarray((frequency > 0.1) & (frequency < 0.9))
    expected = 2 * frequency * (1 - frequency)
    observed = (copies == 1).mean(axis=1)
    assert common.sum() > 100
    assert float((observed / expected)[common].mean()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    "kind",
    ["excess_heterozygotes", "differential_missingness", "low_call_rate", "batch_artefact", "failed_filter"],
)
def test_cohort__bad_variants_are_in_the_file(study, kind):
    planted = [bad for bad in study.truth.bad_variants if bad.kind == kind]
    assert len(study.rows(kind)) == len(planted) >= 3


def test_cohort__excess_heterozygotes(study):
    rows, people = study.rows("excess_heterozygotes"), clean_people(study)
    copies = np.ma.masked_equal(study.calls.copies[np.ix_(rows, people)], MISSING)
    frequency = copies.mean(axis=1) / 2
    assert np.all((copies == 1).mean(axis=1) > 1.2 * 2 * frequency * (1 - frequency))


def test_cohort__low_call_rate(study):
    missing = study.calls.copies == MISSING
    rows = study.rows("low_call_rate")
    assert missing[rows].mean(axis=1).min() > 0.04
    assert missing[study.clean_rows()].mean() < 0.02


def test_cohort__differential_missingness(study):
    missing, case = study.calls.copies == MISSING, status_of(study)
    wanted = {(bad.contig, bad.position): bad.group for bad in study.truth.bad_variants}
    differences = []
    for row in study.rows("differential_missingness"):
        site = study.calls.sites.iloc[row]
        sign = 1 if wanted[site.contig, site.position] == "case" else -1
        differences.append(sign * (missing[row, case].mean() - missing[row, ~case].mean()))
    assert min(differences) > 0.02


def test_cohort__batch_artefacts(study):
    kit = np.array([person.kit for person in study.truth.people])
    wanted = {(bad.contig, bad.position): bad.group for bad in study.truth.bad_variants}
    for row in study.rows("batch_artefact"):
        site = study.calls.sites.iloc[row]
        inside = kit == wanted[site.contig, site.position]
        heterozygous = study.calls.copies[row] == 1
        assert heterozygous[inside].mean() > heterozygous[~inside].mean()


def test_cohort__failed_filter(study):
    failed = study.calls.sites["filter"] != "PASS"
    assert sorted(study.rows("failed_filter")) == np.flatnonzero(failed).tolist()


def kinship(copies: np.ndarray, frequency: np.ndarray, pair: list[int]) -> float:
    """Scaled product of centred genotypes: expectation of the kinship coefficient (Speed et al. 2012)."""
    first, second = copies[:, pair[0]] - 2 * frequency, copies[:, pair[1]] - 2 * frequency
    return float(np.sum(first * second) / np.sum(4 * frequency * (1 - frequency)))


def test_cohort__relatives_can_be_found_by_their_genotypes(study):
    rows = study.clean_rows()
    copies = np.where(study.calls.copies[rows] == MISSING, 0, study.calls.copies[rows])
    admixed = np.array([person.ancestry == "admixed" for person in study.truth.people])
    frequency = copies[:, ~admixed].mean(axis=1) / 2
    common = np.minimum(frequency, 1 - frequency) > 0.05
    copies, frequency = copies[common], frequency[common]
    planted = [
        (study.place(p.sample_a), study.place(p.sample_b), p.kinship) for p in study.truth.related_pairs
    ]
    european = [(a, b, value) for a, b, value in planted if not admixed[a] and not admixed[b]]
    assert len(european) >= 8
    for first, second, value in european:
        assert kinship(copies, frequency, [first, second]) == pytest.approx(value, abs=0.11)
    found = [kinship(copies, frequency, [a, b]) - value for a, b, value in european]
    assert np.mean(found) == pytest.approx(0, abs=0.04)


def test_cohort__declared_relatives_share_their_family_id(study):
    family = dict(zip(study.samples.sample_id, study.samples.family_id, strict=True))
    for pair in study.truth.related_pairs:
        assert (family[pair.sample_a] == family[pair.sample_b] != "NA") == pair.declared


def test_cohort__csq_follows_its_header(study):
    (line,) = (line for line in study.calls.header if line.startswith("##INFO=<ID=CSQ"))
    fields = re.search(r'Format: ([^"]+)"', line)[1].split("|")
    assert tuple(fields) == CSQ_FIELDS
    genes = set(re.findall(r'gene_id "(\w+)"', (study.out / "genes.gtf").read_text()))
    alleles = 0
    for csq in study.calls.sites["info"].str.split("CSQ=").str[1]:
        for entry in csq.split(","):
            values = dict(zip(fields, entry.split("|"), strict=True))
            assert values["Gene"] in genes or values["Consequence"] == "intergenic_variant"
            alleles += 1
    assert alleles >= study.truth.alleles


def test_cohort__some_variants_lie_in_two_genes(study):
    csq = study.calls.sites["info"].str.split("CSQ=").str[1]
    genes = csq.str.findall(r"SIMG\d+").map(lambda found: len(set(found)))
    assert (genes == 2).sum() > 3


def test_cohort__damaging_alleles_of_causal_genes_are_commoner_in_cases(study):
    causal = "|".join(gene.gene_id for gene in study.truth.causal_genes)
    info = study.calls.sites["info"]
    damaging = info.str.contains(causal) & info.str.contains(r"\|HC\||probably_damaging")
    rare = study.calls.copies.clip(0).mean(axis=1) / 2 < 0.02
    burden = study.calls.copies[np.flatnonzero(damaging & rare)].clip(0).sum(axis=0)
    case = status_of(study)
    assert burden[case].mean() > 1.3 * burden[~case].mean()


def test_cohort__truth_keeps_the_configured_numbers(study):
    truth, pairs = study.truth, [pair.kind for pair in study.truth.related_pairs]
    assert {kind: pairs.count(kind) for kind in set(pairs)} == {
        "duplicate": 2, "parent_child": 3, "siblings": 3, "half_siblings": 2, "avuncular": 2,
    }  # fmt: skip
    assert len(truth.causal_genes) == 20
    assert truth.population.genetic_variance == pytest.approx(0.6)
    assert truth.population.heritability == pytest.approx(0.6, abs=0.06)
    assert truth.population.cases / truth.population.people == pytest.approx(0.1, abs=0.01)
