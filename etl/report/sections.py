"""Which panels stand in which section of the report."""

from __future__ import annotations

from contract.page.panel import Cut, Panel
from etl.report.association_figures import association_panels
from etl.report.attrition_figures import people_panel, variants_panel
from etl.report.data import ReportData
from etl.report.people_figures import removal_panel, sample_panels, sex_panels
from etl.report.relatives_figures import component_panels, kinship_panel
from etl.report.variant_figures import (
    burden_panels,
    difference_panel,
    equilibrium_panel,
    genotype_panel,
    metric_panels,
    spectrum_panel,
)


def report_panels(data: ReportData) -> dict[str, list[Panel]]:
    """Panels by section, empty where nothing was measured."""
    return {
        "attrition": _attrition(data),
        "samples": [] if data.people is None else sample_panels(data.people, data.sample_cuts),
        "sex": [] if data.people is None else sex_panels(data.people, data.sample_cuts.get("f_stat", Cut())),
        "kinship": []
        if data.kinship is None or data.kinship.empty
        else [kinship_panel(data.kinship, data.min_kinship_family)],
        "components": []
        if data.components is None or data.components.empty
        else component_panels(data.components, data.eigenvalues),
        "genotypes": _genotypes(data),
        "variants": _variants(data),
        "burden": [] if data.burden is None else burden_panels(data.burden),
        "association": [] if data.association is None else association_panels(data.association),
    }


def _attrition(data: ReportData) -> list[Panel]:
    if data.attrition is None:
        return []
    found = [people_panel(data.attrition), variants_panel(data.attrition)]
    several = data.attrition.flow["batch"].nunique() > 1
    return [*found, removal_panel(data.attrition.flow)] if several else found


def _genotypes(data: ReportData) -> list[Panel]:
    counts = {entry.reason: entry.count for entry in data.lines if entry.unit == "genotypes"}
    panel = genotype_panel(counts, data.n_genotypes)
    return [panel] if panel else []


def _variants(data: ReportData) -> list[Panel]:
    panels = metric_panels(data.variants)
    sums = data.variant_sums
    if sums is None:
        return panels
    further = (
        difference_panel(sums, data.max_call_rate_difference),
        equilibrium_panel(sums, data.n_tested_groups),
        spectrum_panel(sums),
    )
    return panels + [panel for panel in further if panel]
