"""Step 10: burden association of every gene and channel, outside the sealed fold."""

from __future__ import annotations

import io
from dataclasses import asdict

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contract.config import digest
from contract.manifest import read_manifest
from contract.storage import open_storage, write_whole
from etl.associate.burden_tests import ASSOCIATION_SCHEMA, associate
from etl.associate.inflation import channel_inflation
from etl.config import EtlConfig
from etl.steps.base import Run
from etl.workspace import StepResult


def work(run: Run) -> StepResult:
    """Write associations.parquet beside the dataset."""
    root = run.config.dataset
    manifest = read_manifest(root)
    found = associate(root, manifest, run.config.association)
    people, tested = found.people, found.table["test"].notna()
    inflations = channel_inflation(found.table, run.config.association.min_expected)
    told = {
        "cases": people.n_cases,
        "controls": people.n_controls,
        "relatives_left_out": people.n_relatives,
        "test_fold": manifest.test_fold,
        "dataset": digest(manifest),
    }
    _write(found.table, run.config.associations, told)
    seen = f"{people.n_cases + people.n_controls} unrelated people outside the test fold"
    synonymous = synonymous_channels(run.config)
    return StepResult(
        facts={
            **{name: told[name] for name in ("cases", "controls")},
            "tests": int(tested.sum()),
            **{
                f"lambda_{each.channel}": round(each.value, 3)
                for each in inflations
                if each.channel in synonymous
            },
            "firth_fits": int((found.table["test"] == "firth").sum()),
            "relatives_left_out": people.n_relatives,
            "inflation": [asdict(each) for each in inflations],
            "untested": found.untested,
        },
        fitted_on={} if found.untested else {"burden association": seen},
    )


def synonymous_channels(config: EtlConfig) -> list[str]:
    """Channels of synonymous variants alone: no effect is expected of them."""
    return [mask.name for mask in config.masks.resolved() if mask.is_synonymous]


def read_associations(url: str) -> pd.DataFrame:
    """The table that this step wrote."""
    filesystem, path = open_storage(url)
    with filesystem.open(path, "rb") as stream:
        return pq.read_table(stream).to_pandas()


def _write(table: pd.DataFrame, url: str, told: dict[str, object]) -> None:
    buffer = io.BytesIO()
    rows = pa.Table.from_pandas(table, schema=ASSOCIATION_SCHEMA, preserve_index=False)
    named = {name: str(value) for name, value in told.items()}
    pq.write_table(rows.replace_schema_metadata(named), buffer, compression="zstd")
    write_whole(url, buffer.getvalue())
