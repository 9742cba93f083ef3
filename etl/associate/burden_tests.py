"""Burden tests of a dataset: each gene of each channel against status, given the dataset's covariates.

A score test for all; where its p is small or counts are, Firth's penalised fit takes its place, as in regenie
(Mbatchou et al. 2021, doi 10.1038/s41588-021-00870-7). Axes: M people, G genes, F tested genes of a channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from contract.association.firth import firth_fits
from contract.association.score import NullModel, fit_null, score_tests
from contract.dataset import read_genes
from contract.manifest import Manifest
from etl.associate.config import AssociationConfig
from etl.associate.people import UnrelatedPeople, read_channel, unrelated_people

FEWEST_PEOPLE = 10
"""Cases, and controls, below which nothing is tested."""

ASSOCIATION_SCHEMA = pa.schema(
    [
        pa.field("gene_id", pa.string(), nullable=False),
        pa.field("symbol", pa.string()),
        pa.field("contig", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("carriers_cases", pa.int32(), nullable=False),
        pa.field("carriers_controls", pa.int32(), nullable=False),
        pa.field("burden", pa.float64(), nullable=False),
        pa.field("expected_carriers", pa.float64(), nullable=False),
        pa.field("effect", pa.float64()),
        pa.field("standard_error", pa.float64()),
        pa.field("p", pa.float64()),
        pa.field("log10_p", pa.float64()),
        pa.field("test", pa.string()),
        pa.field("score_p", pa.float64()),
    ]
)
"""One row per channel and gene that anybody tested carries, channels in their order, genes in genome order.
`burden` is the sum of the feature over people: minor alleles, where a mask is additive and without weights.
`expected_carriers` are those expected in the rarer status if it made no difference. `effect` is the log odds
ratio per unit of the feature, `log10_p` is -log10 of the two-sided `p`, `test` is score or firth. The last
six are null where too few carry the feature."""


@dataclass(frozen=True)
class Associations:
    """Results of a dataset.

    Attributes
    ----------
    table
        Columns of `ASSOCIATION_SCHEMA`.
    people
        Who was tested.
    untested
        Why nothing was tested; null where something was.
    """

    table: pd.DataFrame
    people: UnrelatedPeople
    untested: str | None = None


def associate(root: str, manifest: Manifest, config: AssociationConfig) -> Associations:
    """Test every gene of every channel.

    Parameters
    ----------
    root, manifest
        The dataset. Its sealed fold is not opened; people of unknown status are left out.
    config
        Which gene is tested, and how.
    """
    people = unrelated_people(root, manifest)
    cases, controls = people.n_cases, people.n_controls
    if min(cases, controls) < FEWEST_PEOPLE:
        told = f"{cases} cases and {controls} controls who are unrelated and outside the sealed fold"
        return Associations(_empty(), people, f"found {told}, wanted at least {FEWEST_PEOPLE} of each")
    null = fit_null(people.is_case_M, people.covariates_MP)
    genes = read_genes(root, manifest)
    tables = []
    for place, channel in enumerate(manifest.channels):
        x_MG = read_channel(root, manifest, place, people.sample_M)
        found = channel_tests(x_MG, people.is_case_M, null, config)
        axis = genes[["position", "gene_id", "symbol", "contig", "start", "end"]]
        tables.append(found.merge(axis, left_on="gene", right_on="position").assign(channel=channel.name))
    return Associations(pd.concat(tables, ignore_index=True)[ASSOCIATION_SCHEMA.names], people)


def channel_tests(
    x_MG: csr_matrix, is_case_M: NDArray[np.int8], null: NullModel, config: AssociationConfig
) -> pd.DataFrame:
    """Tests of the genes of one channel.

    Parameters
    ----------
    x_MG
        Its features, sparse.
    is_case_M
        1 or 0.
    null
        Status on covariates.
    config
        Which gene is tested, and how.

    Returns
    -------
    pandas.DataFrame
        gene (place on the axis), and the columns of `ASSOCIATION_SCHEMA` that are numbers, for genes that
        somebody carries.
    """
    columns = csc_matrix(x_MG, dtype=np.float64)
    columns.eliminate_zeros()
    carriers_G = np.diff(columns.indptr)
    carried = np.flatnonzero(carriers_G)
    cases = (csr_matrix(columns != 0).T @ is_case_M.astype(np.int64))[carried]
    share = is_case_M.mean()
    found = pd.DataFrame(
        {
            "gene": carried,
            "carriers_cases": cases,
            "carriers_controls": carriers_G[carried] - cases,
            "burden": np.asarray(columns.sum(axis=0)).ravel()[carried],
            "expected_carriers": carriers_G[carried] * min(share, 1 - share),
        }
    )
    tested = np.flatnonzero(carriers_G[carried] >= config.fewest_carriers)
    results = pd.DataFrame(columns=["effect", "standard_error", "log10_p", "test", "score_p"])
    if len(tested):
        few_F = found["expected_carriers"].to_numpy()[tested] < config.min_expected
        results = _test(columns[:, carried[tested]], null, few_F, config.firth_p).set_index(tested)
    found = found.join(results)
    numbers = ["effect", "standard_error", "log10_p", "score_p"]
    found[numbers] = found[numbers].astype(float)
    return found.assign(p=10.0 ** -found["log10_p"])


def _test(x_MF: csc_matrix, null: NullModel, few_F: NDArray[np.bool_], firth_p: float) -> pd.DataFrame:
    """Results of F features, of which `few_F` have small counts; where a fit fails, the score test stands."""
    score = score_tests(x_MF, null)
    results_3F = np.stack([score.effect_F, score.standard_error_F, score.log10_p_F])
    name_F = np.where(np.isfinite(score.log10_p_F), "score", "").astype(object)
    doubtful = np.flatnonzero(few_F | (10.0**-score.log10_p_F < firth_p))
    if len(doubtful):
        fit = firth_fits(x_MF[:, doubtful], null)
        fitted = np.isfinite(fit.log10_p_F)
        of_fit = np.stack([fit.effect_F, fit.standard_error_F, fit.log10_p_F])
        results_3F[:, doubtful[fitted]] = of_fit[:, fitted]
        name_F[doubtful[fitted]] = "firth"
    found = pd.DataFrame(results_3F.T, columns=["effect", "standard_error", "log10_p"])
    return found.assign(test=pd.Series(name_F).replace("", None), score_p=10.0**-score.log10_p_F)


def _empty() -> pd.DataFrame:
    return pa.Table.from_pylist([], schema=ASSOCIATION_SCHEMA).to_pandas()
