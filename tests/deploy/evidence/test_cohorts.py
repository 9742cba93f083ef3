import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contract.dataset import read_genes, read_samples, read_stats, verify
from contract.manifest import read_manifest
from deploy.evidence.cohorts import read_truth, write_cohort
from deploy.evidence.gene_truth import draw_gene_truth
from deploy.evidence.settings import CohortSettings

TINY = {"n_people": 180, "n_judges": 60, "n_genes": 64, "n_causal": 20}
ARCHITECTURE = {"n_constrained": 300}


def tiny(**settings) -> CohortSettings:
    return CohortSettings.model_validate({**TINY, **settings})


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".npz"  # an archive holds the time
    }


def people(truth) -> pd.DataFrame:
    return read_samples(truth.dataset, read_manifest(truth.dataset), range(10))


def test_write_cohort__is_a_dataset_of_the_contract(tmp_path):
    truth = write_cohort(tiny(), tmp_path)
    manifest = read_manifest(truth.dataset)
    verify(truth.dataset, manifest)
    samples = people(truth)
    assert (manifest.n_samples, manifest.test_fold, len(manifest.folds)) == (240, 9, 10)
    assert samples["sample_index"].tolist() == list(range(240))
    assert truth.judge_M.sum() == manifest.fold(9).n_samples == 60
    assert np.array_equal(samples["is_case"], truth.is_case_M)
    assert all(np.all(np.diff(row) > 0) for row in samples["indices"])


def test_write_cohort__sums_are_those_of_the_rows(tmp_path):
    truth = write_cohort(tiny(), tmp_path)
    manifest, stats = read_manifest(truth.dataset), read_stats(truth.dataset)
    rows = read_samples(truth.dataset, manifest, [4])
    flat, values = np.concatenate(rows["indices"]), np.concatenate(rows["values"]).astype(float)
    found = stats[stats["fold"] == 4].set_index(["channel", "gene"])
    for power, column in ((1, "sum"), (2, "sum_squares")):
        sums = np.bincount(flat, values**power, manifest.n_features)
        expected = sums[found.index.get_level_values(0) * 64 + found.index.get_level_values(1)]
        assert np.allclose(found[column], expected)
        assert found[column].sum() == pytest.approx(sums.sum())


def test_write_cohort__the_same_settings_give_the_same_files(tmp_path):
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    first, second = write_cohort(tiny(), one), write_cohort(tiny(), two)
    write_cohort(tiny(people_seed=2), other)
    assert files(one) == files(two)
    assert np.array_equal(first.liability_M, second.liability_M)
    assert files(one)["truth.json"] != files(other)["truth.json"]
    again = read_truth(one)
    assert np.array_equal(again.effect_GC, first.effect_GC)
    assert again.oracle_auroc == first.oracle_auroc


def test_write_cohort__the_truth_of_genes_has_a_seed_of_its_own(tmp_path):
    genes = [
        write_cohort(tiny(**seeds), tmp_path / str(number)).causal.tolist()
        for number, seeds in enumerate([{}, {"people_seed": 5}, {"truth_seed": 5}])
    ]
    assert genes[0] == genes[1] != genes[2]


@pytest.mark.parametrize(
    ("form", "expected"), [("shared", 0.796), ("path_near", 0.765), ("null", 0.5), ("polygenic", 0.796)]
)
def test_write_cohort__oracle_at_heritability_0_4(tmp_path, form, expected):
    settings = CohortSettings(form=form, n_people=18, n_genes=500, n_causal=200, n_judges=8_000)
    truth = write_cohort(settings, tmp_path)
    assert truth.oracle_auroc == pytest.approx(expected, abs=0.02)
    explained = 0.0 if form == "null" else 0.4
    assert truth.liability_M.var() == pytest.approx(explained, abs=0.05)
    assert truth.liability_M.mean() == pytest.approx(0, abs=0.03)


def test_write_cohort__half_of_the_variance_of_pathways_is_not_a_sum(tmp_path):
    settings = CohortSettings(form="path_near", n_people=18, n_genes=320, n_causal=100, n_judges=8_000)
    truth = write_cohort(settings, tmp_path)
    judges = people(truth).iloc[18:]
    effect_F = truth.effect_GC.T.ravel()
    sums = [row.values @ effect_F[row.indices] for row in judges.itertuples()]
    explained = np.corrcoef(sums, truth.liability_M[18:])[0, 1] ** 2
    assert explained == pytest.approx(0.5, abs=0.05)


def test_write_cohort__pathways_stand_among_sets_without_effect(tmp_path):
    truth = write_cohort(tiny(form="path_near", n_genes=160), tmp_path)
    sets = pd.read_csv(truth.gene_sets, sep="\t")
    assert list(sets) == ["gene_set", "gene_id"]
    number = sets["gene_id"].str.removeprefix("ENSG").astype(int)
    causal = number.isin(truth.causal).groupby(sets["gene_set"]).sum()
    assert sorted(causal.unique()) == [0, 10]
    assert ((causal == 10).sum(), len(causal)) == (2, 10)
    assert (number.groupby(sets["gene_set"]).apply(np.ptp) < 16).all()


def test_draw_gene_truth__forty_genes_explain_half_among_many_small_ones():
    truth = draw_gene_truth(CohortSettings(form="few_among_many"))
    variance_G = np.sort((truth.rate_GC * truth.effect_GC**2).sum(axis=1))[::-1]
    assert 0.5 < variance_G[:40].sum() / variance_G.sum() < 0.6
    assert len(truth.causal) == (variance_G > 0).sum() == 2000


def test_draw_gene_truth__heavy_tails_hold_more_than_a_normal_distribution_would():
    top = {}
    for form in ("heavy_tails", "polygenic"):
        size_G = np.abs(draw_gene_truth(CohortSettings(form=form)).effect_GC[:, 0])
        top[form] = np.sort(size_G**2)[-20:].sum() / (size_G**2).sum()
    assert top["polygenic"] < 0.1 < 0.2 < top["heavy_tails"]


def test_write_cohort__families_stay_in_a_fold_and_share_alleles(tmp_path):
    relatives = {"share": 1.0, "shared_alleles": 0.5, "liability_correlation": 0.5}
    truth = write_cohort(tiny(relatives=relatives), tmp_path)
    samples, manifest = people(truth), read_manifest(truth.dataset)
    fold = np.repeat(np.arange(10), [part.n_samples for part in manifest.folds])
    assert samples["family"].value_counts().max() == 2
    assert pd.Series(fold).groupby(samples["family"]).nunique().max() == 1
    dense = np.zeros((240, manifest.n_features))
    for row, (indices, values) in enumerate(zip(samples["indices"], samples["values"], strict=True)):
        dense[row, indices] = values
    first = np.flatnonzero(samples["family"].duplicated(keep="last"))
    rate = dense.mean(0)
    siblings = ((dense[first] - rate) * (dense[first + 1] - rate)).sum() / ((dense[first] - rate) ** 2).sum()
    assert siblings == pytest.approx(0.5, abs=0.05)


def test_write_cohort__a_batch_without_effect(tmp_path):
    technique = {"b_of_cases": 0.8, "b_of_controls": 0.25, "b_loss": 0.2}
    truth = write_cohort(tiny(form="null", n_judges=2_000, technique=technique), tmp_path)
    samples = people(truth)
    in_b = samples["batch"] == "B"
    assert in_b[samples["is_case"] == 1].mean() == pytest.approx(0.8, abs=0.04)
    total = samples["values"].map(np.sum)
    assert total[in_b].mean() / total[~in_b].mean() == pytest.approx(0.8, abs=0.03)
    assert truth.oracle_auroc == 0.5


@pytest.mark.parametrize("loss", ["case_loss", "judge_loss"])
def test_write_cohort__calls_lost(tmp_path, loss):
    truth = write_cohort(tiny(form="null", n_people=900, n_judges=900, technique={loss: 0.3}), tmp_path)
    samples = people(truth)
    lost = samples["is_case"] == 1 if loss == "case_loss" else truth.judge_M
    total = samples["values"].map(np.sum)
    assert total[lost].mean() / total[~lost].mean() == pytest.approx(0.7, abs=0.03)


def test_write_cohort__constraint(tmp_path):
    settings = tiny(
        form="constraint", n_genes=1_000, n_causal=30, n_judges=6_000, heritability=0.02,
        architecture=ARCHITECTURE,
    )  # fmt: skip
    truth = write_cohort(settings, tmp_path)
    samples, properties = people(truth), pd.read_parquet(truth.properties)
    assert truth.is_case_M.mean() == pytest.approx(0.443, abs=0.02)
    assert truth.oracle_auroc == pytest.approx(0.605, abs=0.02)
    assert properties["loeuf"].isna().mean() == pytest.approx(0.05, abs=0.03)
    assert properties["loeuf"].iloc[truth.causal].mean() < 0.3 < properties["loeuf"].mean()
    genes = read_genes(truth.dataset)
    assert np.array_equal(genes["loeuf"], properties["loeuf"], equal_nan=True)
    burden = samples["indices"].map(lambda row: int((row < 1_000).sum()))
    assert burden.mean() == pytest.approx(4.25, abs=0.2)
    odds = np.exp(truth.effect_GC[truth.causal, 0])
    assert 1 < odds.min() <= odds.max() < 31


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_causal": 65}, "n_causal is more than n_genes"),
        ({"form": "few_among_many", "n_genes": 39, "n_causal": 5}, "n_genes is less than 40"),
        ({"form": "path_far", "n_causal": 15}, "no multiple of 10"),
        ({"form": "path_near", "n_causal": 50}, "needs more stretches of 16"),
        ({"form": "constraint"}, "n_constrained lies not between"),
        ({"genes": 5}, "Extra inputs are not permitted"),
    ],
)
def test_settings__that_do_not_fit(settings, message):
    with pytest.raises(ValidationError, match=message):
        tiny(**settings)


def test_write_cohort__a_mask_chosen_by_labels(tmp_path):
    def gap(name: str, **mask) -> tuple[float, float]:
        settings = tiny(form="null", n_people=900, n_judges=900, label_mask=mask)
        truth = write_cohort(settings, tmp_path / name)
        plof = people(truth)["indices"].map(lambda row: (row < 64).sum()).to_numpy()
        case = truth.is_case_M == 1
        return tuple(
            plof[case & who].mean() - plof[~case & who].mean() for who in (~truth.judge_M, truth.judge_M)
        )

    others, judges = gap("none")
    assert abs(others) < 0.2 and abs(judges) < 0.2  # noqa: PT018
    others, judges = gap("fitted", variants=10)
    assert others > 0.3 > abs(judges)
    others, judges = gap("everybody", variants=10, sees_judges=True)
    assert min(others, judges) > 0.2
