"""The samples table of new people. Imports neither Hail nor Spark."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from contract.errors import InputError
from etl.config import SamplesConfig
from etl.ingest.samples import match_samples, read_samples


def read_new_people(
    config: SamplesConfig, in_calls: Sequence[str], calls_path: str, *, people_field: str
) -> pd.DataFrame:
    """The samples table, in the order of the calls; without one, who is called, nothing known of them.

    Parameters
    ----------
    config
        The table; its path is empty where there is none.
    in_calls, calls_path, people_field
        See `etl.ingest.samples.match_samples`.

    Raises
    ------
    InputError
        If the table is at fault or names other people than the calls. Status may be unknown, or one for all.
    """
    if not config.path:
        absent = dict.fromkeys(("reported_sex", "declared_family", "known_ancestry", "declared_fold"))
        people = pd.DataFrame({"sample_id": list(in_calls), "batch": "all", **absent})
        return people.assign(is_case=pd.array([pd.NA] * len(people), dtype="Int8"))
    samples = read_samples(config, both_classes=False)
    faults = match_samples(samples, in_calls, config.path, calls_path, people_field=people_field)
    if faults:
        raise InputError(faults)
    return samples.set_index("sample_id").loc[list(in_calls)].reset_index()
