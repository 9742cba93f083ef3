"""New people beside the first cohort's: metrics, ancestry and covariates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.errors import InputError, fault
from contract.reference import Reference
from etl.like.lookup import VariantTable
from etl.qc.comparisons import compare
from etl.qc.components import GROUPING_COMPONENTS
from etl.qc.person_sums import COLUMNS, Sums, sum_calls

METRIC_COLUMNS = (*COLUMNS, "contig", "position")
"""Columns of the cohort that `sum_calls_by` reads."""

UNKNOWN = "unknown"


def sum_calls_by(
    batches: Iterator[pa.RecordBatch], *, variants: VariantTable, n_people: int, has_depth: bool
) -> Sums:
    """`etl.qc.person_sums.sum_calls` with the first cohort's frequencies: few people have none of their own.

    Sex and contamination are told by common variants; those that the first cohort does not have, or not as
    common ones, have no frequency. Nothing is seen once: nobody's singletons are counted.
    """

    def with_frequencies() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found, _ = variants.find(batch, ("site_alleles", "site_called"))
            alleles, called = (
                pa.array(found[name].to_pandas().fillna(0).astype(np.int32)) for name in found.column_names
            )
            none = pa.array(np.zeros(batch.num_rows, dtype=np.int32))
            counts = {"n_called": called, "n_het": alleles, "n_hom_alt": none, "n_haploid_alt": none}
            columns = [counts.get(name, batch.column(name)) for name in batch.schema.names]
            yield pa.RecordBatch.from_arrays(columns, batch.schema.names)

    return sum_calls(with_frequencies(), n_people=n_people, has_depth=has_depth)


def nearest_groups(people: pd.DataFrame, reference: Reference) -> pd.Series:
    """The ancestry group whose centre is nearest on the leading components, as k-means places people."""
    if not reference.groups:
        return pd.Series(UNKNOWN, index=people.index)
    leading = reference.components[:GROUPING_COMPONENTS]
    centres = np.array([group.mean[: len(leading)] for group in reference.groups])
    steps = people[leading].to_numpy()[:, np.newaxis] - centres
    names = np.array([group.name for group in reference.groups], dtype=object)
    return pd.Series(names[np.square(steps).sum(axis=2).argmin(axis=1)], index=people.index)


def deviations(people: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """deviation_METRIC of people whose ancestry the first cohort has a comparison for; NaN of others."""
    found: dict[str, pd.Series] = {}
    for comparison in reference.comparisons:
        own, name = compare(people, comparison), f"deviation_{comparison.metric}"
        found[name] = own if name not in found else found[name].fillna(own)
    return pd.DataFrame(found, index=people.index)


def covariates_like(frame: pd.DataFrame, batch: pd.Series, reference: Reference) -> list[list[float]]:
    """Covariates of new people by the first cohort's names.

    Parameters
    ----------
    frame
        Those that don't depend on the cohort's batches, a column each.
    batch
        Of each person. One that the first cohort does not have stands where its people stand on average.
    reference
        Names, and means outside the sealed fold.

    Raises
    ------
    InputError
        If there is no column for a covariate.
    """
    columns: dict[str, pd.Series] = {}
    batches = [name for name in reference.covariates if name.startswith("batch_")]
    for name in reference.covariates:
        if name in frame:
            columns[name] = frame[name].astype(float)
        elif name in batches:
            known = batch.map("batch_{}".format).isin(batches)
            own = (batch.map("batch_{}".format) == name).astype(float)
            columns[name] = own.where(known).fillna(reference.covariate_means[name])
        else:
            raise InputError(fault("samples", "covariates", found=f"no {name}", wanted="a column for it"))
    values: list[list[float]] = pd.DataFrame(columns, index=frame.index).to_numpy(float).tolist()
    return values
