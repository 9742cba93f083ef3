import numpy as np
import pytest

from contract.config import build_config
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import lay_out
from etl.simulate.pedigree import draw_population
from etl.simulate.people import kinship, sample_people, write_samples


@pytest.fixture(scope="module")
def config():
    settings = {
        "out": "x",
        "people": 1_000,
        "genes": {"count": 23, "backbone_markers": 0},
        "relatives": {"duplicates": 20, "siblings": 40},
        "phenotype": {"prevalence": 0.4, "causal_genes": 1},
        "sample_defects": {"sex_error_share": 0.02, "contaminated_share": 0.03, "low_quality_share": 0.01},
    }
    return build_config(SimulateConfig, settings, "test")


@pytest.fixture(scope="module")
def people(config):
    pedigree = draw_population(config, lay_out(config))
    is_case = np.arange(pedigree.visible.sum()) % 2 == 0
    return sample_people(config, pedigree, is_case)


def test_sample_people__duplicates_are_one_person_twice(people):
    pairs = [pair for pair in people.pairs if pair.kind == "duplicate"]
    assert pairs
    for pair in pairs:
        assert people.person[pair.first] == people.person[pair.second]
        assert people.is_case[pair.first] == people.is_case[pair.second]
        assert kinship(pair) == 0.5
    assert len(np.unique(people.person)) == len(people) - len(pairs)


def test_sample_people__defects_have_their_shares_and_exclude_each_other(people):
    n = len(people)
    assert people.sex_error.sum() == round(0.02 * n)
    assert (people.contamination > 0).sum() == round(0.03 * n)
    assert people.low_quality.sum() == round(0.01 * n)
    assert (people.sex_error.astype(int) + (people.contamination > 0) + people.low_quality).max() == 1
    related = [place for pair in people.pairs for place in (pair.first, pair.second)]
    assert not (people.sex_error | people.low_quality)[related].any()


def test_sample_people__a_defect_that_is_switched_off(config, people):
    defects = config.sample_defects.model_copy(update={"switched_off": ("low_quality",)})
    changed = config.model_copy(update={"sample_defects": defects})
    pedigree = draw_population(changed, lay_out(changed))
    without = sample_people(changed, pedigree, np.arange(pedigree.visible.sum()) % 2 == 0)
    assert not without.low_quality.any()
    assert np.array_equal(without.sex_error, people.sex_error)
    assert np.array_equal(without.contamination > 0, people.contamination > 0)


def test_sample_people__a_kit_that_one_ancestry_is_sequenced_with(config):
    kits = [kit.model_copy(update={"ancestry_weights": {"admixed": 9.0}}) for kit in config.kits[:1]]
    changed = config.model_copy(update={"kits": (*kits, *config.kits[1:])})
    pedigree = draw_population(changed, lay_out(changed))
    people = sample_people(changed, pedigree, np.arange(pedigree.visible.sum()) % 2 == 0)
    admixed = people.ancestry == 1
    assert (people.kit == 0)[admixed].mean() > 0.8
    assert (people.kit == 0)[~admixed].mean() == pytest.approx(0.5, abs=0.05)


def test_sample_people__contaminated_by_somebody_else(people):
    tainted = np.flatnonzero(people.contamination)
    assert np.all(people.donor[tainted] != tainted)
    assert np.all(people.donor[tainted] >= 0)
    assert people.contamination[tainted].min() >= 0.06
    assert people.contamination[tainted].max() <= 0.15


def test_sample_people__kits_are_unbalanced_and_differ_in_depth(people):
    first = people.kit == 0
    assert first[people.is_case].mean() == pytest.approx(0.6, abs=0.06)
    assert first[~people.is_case].mean() == pytest.approx(0.4, abs=0.06)
    good = ~people.low_quality
    assert people.depth[first & good].mean() > 1.15 * people.depth[~first & good].mean()


def test_sample_people__declared_families_share_an_id(people):
    declared = [pair for pair in people.pairs if pair.declared]
    assert 0 < len(declared) < len(people.pairs)
    assert all(pair.kind != "duplicate" for pair in declared)
    for pair in people.pairs:
        first, second = people.family_id[pair.first], people.family_id[pair.second]
        assert (first == second != "NA") == pair.declared
    assert np.sum(people.family_id != "NA") == 2 * len(declared)


def test_write_samples__reported_columns_only(people, config, tmp_path):
    write_samples(people, config, tmp_path / "samples.tsv")
    header, first, *_ = (tmp_path / "samples.tsv").read_text().splitlines()
    assert header == "sample_id\tstatus\tsex\tbatch\tkit\tfamily_id\tage\tancestry"
    assert first.split("\t")[1] == ("case" if people.is_case[0] else "control")
    wrong = people.reported_sex != np.where(people.female, "female", "male")
    assert np.array_equal(wrong, people.sex_error)
