"""Nobody of the test fold stands out on a cohort where folds mean nothing, whatever the mask asks for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession

from etl.aggregate.config import MaskConfig, MasksConfig
from etl.aggregate.genes import add_up, sum_features
from etl.aggregate.masks import FEATURES_SCHEMA, READ_COLUMNS, mask_features
from etl.aggregate.presets import PRESETS
from etl.annotate.consequence import CONSEQUENCE
from etl.cohort.calls import nested
from etl.cohort.people import KeptPeople
from etl.cohort.schema import HET, HOM_ALT

N_PEOPLE, N_VARIANTS, N_GENES = 1200, 4000, 100
SCORES = ("revel", "cadd", "spliceai", "mpc", "external_frequency")
KINDS = (
    ("plof", "HC", "stop_gained"),
    ("plof_low_confidence", "LC", "frameshift_variant"),
    ("damaging_missense", None, "missense_variant"),
    ("other_missense", None, "missense_variant"),
    ("synonymous", None, "synonymous_variant"),
)
OTHERS = [
    {"frequency": "minor", "max_frequency": 0.01},
    {"frequency": "minor", "max_allele_count": 5},
    {"frequency": "minor", "weight": "madsen_browning"},
    {"frequency": "minor", "weight": "beta", "combine": "max"},
    {"max_frequency": 0.05, "combine": "comphet"},
    {"max_frequency": 0.05, "combine": "two_hits"},
    {"max_frequency": 0.01, "collapse_allele_count": 10},
    {"coding": "recessive", "frequency": "minor"},
]


def annotated(random: np.random.Generator, count_V: np.ndarray, number: int) -> pa.RecordBatch:
    rows = []
    for place, count in enumerate(count_V):
        name, loftee, term = KINDS[random.integers(len(KINDS))]
        scores = [random.random(), 40 * random.random(), random.random() / 2, 4 * random.random(), 0.0]
        consequence = {"gene": int(random.integers(N_GENES)), "variant_class": name, "loftee": loftee}
        consequence |= {"terms": [term], "scores": scores}
        rows.append(
            {
                "variant": place,
                "consequences": [consequence],
                "allele_count": int(count),
                "allele_number": number,
            }
        )
    kinds = {"consequences": pa.list_(CONSEQUENCE)}
    schema = pa.schema([pa.field(name, kinds.get(name, pa.int64())) for name in READ_COLUMNS])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def burdens(masks: list[MaskConfig], seed: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sum over genes of each person and mask, and who is outside the test fold."""
    random = np.random.default_rng(seed)
    counted_K = random.random(N_PEOPLE) >= 0.1
    # As many variants between 0.02 % and 0.2 % as up to 2 %, 20 % …; of a quarter the reference is rarer.
    frequency_V = 10 ** random.uniform(-3.7, -0.3, N_VARIANTS)
    frequency_V = np.where(random.random(N_VARIANTS) < 0.25, 1 - frequency_V, frequency_V)
    alternate_VK = random.binomial(2, frequency_V[:, np.newaxis], (N_VARIANTS, N_PEOPLE))
    alternate_VK = alternate_VK[alternate_VK.any(axis=1)]
    variants = annotated(random, alternate_VK[:, counted_K].sum(axis=1), 2 * int(counted_K.sum()))
    features = mask_features(variants, masks, N_GENES, SCORES)
    kept = features.column("variant").to_numpy()
    rows, person = np.nonzero(alternate_VK[kept])
    lengths = np.bincount(rows, minlength=len(kept))
    codes = np.where(alternate_VK[kept][rows, person] == 1, HET, HOM_ALT).astype(np.int8)
    batch = pa.RecordBatch.from_pydict(
        {
            "region": pa.array(["autosome"] * len(kept)),
            "person": nested(pa.array(person.astype(np.int32)), lengths),
            "call": nested(pa.array(codes), lengths),
            "features": features.column(FEATURES_SCHEMA.names[1]),
        }
    )
    people = KeptPeople(np.arange(N_PEOPLE, dtype=np.int32), np.zeros(N_PEOPLE, np.int8))
    pq.write_table(pa.Table.from_batches([sum_features(batch, people, counted_K)]), folder / "e.parquet")
    frame = SparkSession.builder.getOrCreate().read.parquet(str(folder / "e.parquet"))
    found: pd.DataFrame = add_up(frame, masks, N_GENES).toPandas()
    totals = np.zeros((N_PEOPLE, len(masks)))
    np.add.at(totals, (found["sample_index"], found["index"] // N_GENES), found["value"])
    return totals, counted_K


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_masks__no_more_burden_in_the_test_fold_on_a_null_cohort(seed: int, tmp_path, hail_session):
    masks = [mask for preset in PRESETS for mask in MasksConfig(preset=preset).resolved()]
    masks += [MaskConfig(name="m", classes=("any",), **settings) for settings in OTHERS]
    totals, counted_K = burdens(masks, seed, tmp_path)
    assert (totals.sum(axis=0) > 0).all()
    sealed, others = totals[~counted_K], totals[counted_K]
    ratio = sealed.mean(axis=0) / others.mean(axis=0)
    error = np.sqrt(totals.var(axis=0) * (1 / len(sealed) + 1 / len(others))) / others.mean(axis=0)
    z = (ratio - 1) / error
    # The largest of some forty correlated numbers; and all masks together, which a bias would shift.
    assert np.abs(z).max() < 3.7, list(zip([mask.name for mask in masks], ratio, z, strict=True))
    assert np.median(error) < 0.1
