import numpy as np
import pandas as pd
import pytest

from etl.export.reference import projection_weights
from etl.like.projection import MarkerWeights, add_scores
from tests.etl.cohort_rows import cohort_table, variant


@pytest.fixture
def loadings() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "contig": ["1", "1"],
            "position": [10, 20],
            "ref": ["A", "A"],
            "alt": ["C", "C"],
            "mean": [1.0, 0.5],
            "scale": [2.0, 4.0],
            "minor": [100, 3],
            "pc1": [0.2, 0.8],
        }
    )


def test_projection_weights__score_of_the_normalised_genotypes(loadings: pd.DataFrame):
    weights, baseline = projection_weights(loadings, ["pc1"], 1)
    for genotype in ([0, 0], [2, 1], [1, 2]):
        normalised = (np.array(genotype) - loadings["mean"]) / loadings["scale"]
        assert baseline[0] + genotype @ weights["pc1"].to_numpy() == pytest.approx(
            normalised @ loadings["pc1"]
        )


def test_projection_weights__means_of_small_cells_are_coarse(loadings: pd.DataFrame):
    exact, _ = projection_weights(loadings, ["pc1"], 3)
    coarse, baseline = projection_weights(loadings, ["pc1"], 5)
    assert exact["mean"].tolist() == [1.0, 0.5]
    assert coarse["mean"].tolist() == [1.0, 0.5 * 2.5 / 3]
    assert baseline == pytest.approx([-(1.0 * 0.1 + 0.5 * 0.2)])


def test_add_scores__alleles_carried_and_missing_calls(loadings: pd.DataFrame):
    table, baseline = projection_weights(loadings, ["pc1"], 1)
    weights = MarkerWeights.of(table, ["pc1"])
    cohort = cohort_table(
        variant("1", 10, "0/0 0/1 1/1 ./. fail"),
        variant("1", 15, "0/1 0/1 0/1 0/1 0/1"),
        variant("1", 20, "0/0 1/1 0/1 0/0 1/1"),
        variant("1", 20, "1/1 1/1 1/1 1/1 1/1", alt="G"),
        reference="GRCh37",
    )
    found = add_scores(iter(cohort.to_batches()), n_people=5, weights=weights)
    # Missing ones stand at the mean, as normalised genotypes of 0 do.
    genotypes = np.array([[0, 0], [1, 2], [2, 1], [1.0, 0], [1.0, 2]])
    wanted = (genotypes - loadings["mean"].to_numpy()) / loadings["scale"].to_numpy() @ loadings["pc1"]
    np.testing.assert_allclose(found.sum_PK[:, 0] + baseline[0], wanted)
    assert found.n_missing_P.tolist() == [0, 0, 0, 1, 1]
    assert sorted(np.concatenate(found.seen)) == [0, 1]
