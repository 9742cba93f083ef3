"""Rows of the cohort in the making: alleles are collected, their calls judged together, a table put out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from etl.cohort.calls import nested
from etl.cohort.schema import COHORT_SCHEMA, HAPLOID_ALT, HET, HOM_ALT, NOT_CALLED, VARIANT_COLUMNS
from etl.qc.genotype import JudgedCalls, ListedCalls


@dataclass
class AlleleRows:
    """Alternate alleles, each with what is known of its site and the calls that are listed for it."""

    sites: list[Mapping[str, Any]] = field(default_factory=list)
    """Values of VARIANT_COLUMNS."""
    listed: list[ListedCalls] = field(default_factory=list)
    n_listed: int = 0
    """Listed calls so far: what the table's size goes with."""

    def __len__(self) -> int:
        return len(self.sites)

    def add(self, site: Mapping[str, Any], listed: ListedCalls) -> None:
        """Add an allele."""
        self.sites.append(site)
        self.listed.append(listed)
        self.n_listed += len(listed)

    def table(self, judged: JudgedCalls, n_people: int) -> pa.Table:
        """Rows of COHORT_SCHEMA.

        Parameters
        ----------
        judged
            The calls of all alleles so far.
        n_people
            People of the VCF: those who are not listed are passing references.
        """
        calls, counts = judged.listed, judged.count_VC
        lists = {
            "person": calls.person_E,
            "call": judged.code_E,
            "ad_ref": calls.ad_ref_E,
            "ad_alt": calls.ad_alt_E,
            "dp": calls.dp_E,
            "gq": calls.gq_E,
        }
        columns = {
            column.name: pa.array([site[column.name] for site in self.sites], column.type)
            for column in VARIANT_COLUMNS
        }
        columns |= {
            "n_called": n_people - judged.n_missing_V,
            "n_het": counts[:, HET],
            "n_hom_alt": counts[:, HOM_ALT],
            "n_haploid_alt": counts[:, HAPLOID_ALT],
            "n_not_called": counts[:, NOT_CALLED],
            "failed": pa.array(list(judged.failed_VR)),
        }
        columns |= {name: nested(pa.array(values), judged.n_listed_V) for name, values in lists.items()}
        return pa.Table.from_pydict(columns, schema=COHORT_SCHEMA)
