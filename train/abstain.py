"""Who is unlike the people that a model was trained on, and by what: their scores are not to be relied on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.dataset import read_samples
from contract.manifest import Manifest
from contract.people_tables import read_people_qc
from contract.reference import SIGNIFICANT, Reference, burden_deviations, distances, person_burdens

FEW_MARKERS = 0.9
"""Share of the components' markers that must be called: what is missing draws scores towards 0."""

COMPONENTS, MARKERS, CALL_RATE, UNKNOWN = "components", "markers", "call_rate", "no_reference"


Flags = dict[str, NDArray[np.bool_]]
"""Reason -> whether it holds of each of M people."""


def abstain_reasons(
    reference: Reference | None, root: str, manifest: Manifest, folds: list[int], *, own_components: bool
) -> pd.DataFrame:
    """Reasons not to rely on the scores of people of some folds.

    components
        Further from every ancestry group of the people trained on than its own people are, see
        `contract.reference.Group.cut`.
    markers
        Called at fewer than `FEW_MARKERS` of the markers of the components.
    call_rate
        Below that of all but a thousandth of the people trained on, at sites that are common there.
    burden_CHANNEL
        Burden of a channel of synonymous variants more than `SIGNIFICANT` standard deviations from that of
        people trained on of the same ancestry: such variants have no effect, so calling or ancestry differs.
    missing_CHANNEL
        Nothing in a channel in which hardly anybody has nothing: what it counts was not annotated or called.
    outlier_METRIC
        A metric of quality that the first cohort's rules would have dropped the person for.

    Parameters
    ----------
    reference
        Of the cohort trained on; None: the bundle keeps none, and nobody can be judged.
    root, manifest, folds
        The dataset, and whom of it.
    own_components
        Whether the dataset's components are the reference's: others can't be compared.

    Returns
    -------
    pandas.DataFrame
        sample_index, abstain (missing where nobody can be judged), abstain_reasons (comma-separated, empty
        for none).
    """
    columns = ["sample_index", "ancestry", "covariates", "indices", "values"]
    people = read_samples(root, manifest, folds, columns)
    index_M = people["sample_index"].to_numpy()
    if reference is None:
        unknown = pd.array([pd.NA] * len(people), dtype="boolean")
        return pd.DataFrame({"sample_index": index_M, "abstain": unknown, "abstain_reasons": UNKNOWN})
    ancestry_M = people["ancestry"].to_numpy(object) if own_components else np.full(len(people), None)
    flags = _component_flags(reference, manifest, people) if own_components else {}
    flags |= _quality_flags(reference, root, manifest, index_M)
    flags |= _burden_flags(reference, manifest, people, ancestry_M)
    return _frame(index_M, flags)


def _component_flags(reference: Reference, manifest: Manifest, people: pd.DataFrame) -> Flags:
    """Nothing where components are no covariates of the dataset."""
    known = [name for name in reference.components if name in manifest.covariates]
    if len(known) < len(reference.components) or not known:
        return {}
    covariates_MP = np.array(people["covariates"].tolist(), dtype=np.float64)
    components_MK = covariates_MP.reshape(len(people), -1)[
        :, [manifest.covariates.index(name) for name in known]
    ]
    return {COMPONENTS: distances(reference.groups, components_MK) > 1}


def _burden_flags(
    reference: Reference, manifest: Manifest, people: pd.DataFrame, ancestry_M: NDArray[np.object_]
) -> Flags:
    flags: Flags = {}
    burden_MC = person_burdens(people, len(manifest.channels), manifest.n_genes)
    for place, channel in enumerate(manifest.channels):
        if channel.counts_missing_calls:
            continue  # nothing missing is no fault; the call rate tells of much that is
        burden_M = burden_MC[:, place]
        far_M = burden_deviations(reference.burdens, channel.name, burden_M, ancestry_M)
        flags[f"missing_{channel.name}"] = (burden_M == 0) & (far_M < -SIGNIFICANT)
        if list(channel.definition.get("classes", ())) == ["synonymous"]:
            flags[f"burden_{channel.name}"] = (np.abs(far_M) > SIGNIFICANT) & (burden_M > 0)
    return flags


def _quality_flags(reference: Reference, root: str, manifest: Manifest, index_M: NDArray[np.int32]) -> Flags:
    """What the dataset's table of quality metrics tells; nothing without one, nor of missing values."""
    metrics = read_people_qc(root, manifest)
    if metrics is None:
        return {}
    metrics = metrics.reindex(index_M)
    limits = {"deviation_" + found.metric: found.max_deviations for found in reference.comparisons}
    flags = {
        name.replace("deviation", "outlier"): (metrics[name].abs() > limit).to_numpy(bool)
        for name, limit in limits.items()
        if name in metrics
    }
    if "marker_call_rate" in metrics:
        flags[MARKERS] = (metrics["marker_call_rate"] < FEW_MARKERS).to_numpy(bool)
    if "common_call_rate" in metrics and reference.lowest_call_rate is not None:
        flags[CALL_RATE] = (metrics["common_call_rate"] < reference.lowest_call_rate).to_numpy(bool)
    return flags


def _frame(index_M: NDArray[np.int32], flags: Flags) -> pd.DataFrame:
    found = pd.DataFrame({"sample_index": index_M})
    reasons = [",".join(name for name in flags if flags[name][place]) for place in range(len(index_M))]
    abstain = pd.array([bool(text) for text in reasons], dtype="boolean")
    return found.assign(abstain=abstain, abstain_reasons=reasons)
