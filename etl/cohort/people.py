"""The people who stay, as kernels see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.calls import Calls, fit_ploidy, keep_people, read_calls, sex_codes

CALL_COLUMNS = ("region", "person", "call")
"""Columns of the cohort that `KeptPeople.calls` needs."""


@dataclass(frozen=True)
class KeptPeople:
    """Numbers and sexes of the people who stay. Axes: P people of the VCF, K people who stay."""

    index_P: NDArray[np.int32]
    """sample_index, or -1 for people who were dropped."""
    sex_K: NDArray[np.int8]
    """By sample_index: UNKNOWN, FEMALE or MALE of `etl.cohort.calls`."""

    def calls(self, batch: pa.RecordBatch) -> Calls:
        """Their calls in a batch of cohort rows, under their sample_index, with ploidy set by sex."""
        calls = keep_people(read_calls(batch), self.index_P)
        return fit_ploidy(calls, batch.column("region").to_pylist(), self.sex_K)


def kept_people(everybody: pd.DataFrame, samples: pd.DataFrame) -> KeptPeople:
    """Tell kernels who stays.

    Parameters
    ----------
    everybody
        person (place in the VCF's header, from 0) and sample_id of all people of the VCF.
    samples
        sample_id, sample_index (0, 1, …) and sex (female, male; anything else is unknown) of those who stay.
    """
    person = everybody.set_index("sample_id")["person"]
    index_P = np.full(len(everybody), -1, dtype=np.int32)
    index_P[person.loc[samples["sample_id"]]] = samples["sample_index"]
    ordered = samples.sort_values("sample_index")
    return KeptPeople(index_P, sex_codes(ordered["sex"].tolist()))


def person_sex(samples: pd.DataFrame) -> pd.Series:
    """Sex by the X chromosome where it was measured, else as reported; 'unknown' where neither is known."""
    return samples["imputed_sex"].fillna(samples["reported_sex"]).fillna("unknown")
