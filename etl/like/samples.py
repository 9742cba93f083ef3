"""The samples table of new people. Imports neither Hail nor Spark."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from contract.errors import InputError
from etl.config import SamplesConfig
from etl.ingest.samples import match_samples, read_samples


def read_new_people(config: SamplesConfig, in_vcf: Sequence[str], vcf: str) -> pd.DataFrame:
    """The samples table, in the VCF's order; without one, everybody of the VCF, nothing known of them.

    Raises
    ------
    InputError
        If the table is at fault or names other people than the VCF. Status may be unknown, or one for all.
    """
    if not config.path:
        absent = dict.fromkeys(("reported_sex", "declared_family", "known_ancestry", "declared_fold"))
        people = pd.DataFrame({"sample_id": list(in_vcf), "batch": "all", **absent})
        return people.assign(is_case=pd.array([pd.NA] * len(people), dtype="Int8"))
    samples = read_samples(config, both_classes=False)
    faults = match_samples(samples, in_vcf, config.path, vcf)
    if faults:
        raise InputError(faults)
    return samples.set_index("sample_id").loc[list(in_vcf)].reset_index()
