"""Hail's logistic regression with Firth's penalty, all coefficients together, as the reference."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from contract.association.firth import firth_fits
from contract.association.score import fit_null, score_tests

hl = pytest.importorskip("hail")


@pytest.mark.slow
def test_firth_fits__as_hails(hail_session: None):
    rng = np.random.default_rng(8)
    covariate_M = rng.normal(size=600)
    x_MF = np.zeros((600, 6))
    for place, count in enumerate([6, 9, 15, 30, 60, 90]):
        x_MF[rng.choice(600, count, replace=False), place] = 1
    logit_M = -0.8 + 0.5 * covariate_M + x_MF @ [1.5, 0, 1.0, 0, 0.7, 0]
    is_case_M = (rng.random(600) < 1 / (1 + np.exp(-logit_M))).astype(np.int8)
    matrix = hl.utils.range_matrix_table(6, 600)
    values = hl.literal(x_MF.T.tolist())
    people = hl.literal(list(zip(is_case_M.tolist(), covariate_M.tolist(), strict=True)))
    matrix = matrix.annotate_cols(is_case=people[matrix.col_idx][0], covariate=people[matrix.col_idx][1])
    matrix = matrix.annotate_entries(x=values[matrix.row_idx][matrix.col_idx])

    def rows(test: str):
        return hl.logistic_regression_rows(
            test, y=matrix.is_case, x=matrix.x, covariates=[1.0, matrix.covariate]
        ).to_pandas()

    null = fit_null(is_case_M, covariate_M[:, None])
    firth, found = rows("firth"), firth_fits(csr_matrix(x_MF), null)
    assert found.effect_F == pytest.approx(firth["beta"].to_numpy(), rel=0.03, abs=0.01)
    assert found.log10_p_F == pytest.approx(-np.log10(firth["p_value"].to_numpy()), rel=0.03, abs=0.01)
    score = score_tests(csr_matrix(x_MF), null)
    chi = (score.effect_F / score.standard_error_F) ** 2
    assert chi == pytest.approx(rows("score")["chi_sq_stat"].to_numpy(), rel=1e-4)
