"""Optional tables of a dataset about its people: pairs of relatives, and quality metrics of each person.

A dataset without them is valid; the manifest lists those that it has, with their checksums.
"""

from __future__ import annotations

import hashlib
import io
import posixpath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contract.errors import InputError, fault
from contract.manifest import Manifest, TableFile
from contract.schema import KINSHIP_SCHEMA, check_schema
from contract.storage import open_storage, write_whole

KINSHIP, PEOPLE_QC = "kinship", "people_qc"
"""Keys of the manifest's `tables`."""


def write_kinship(root: str, pairs: pd.DataFrame) -> TableFile:
    """Write kinship.parquet.

    Parameters
    ----------
    root
        The dataset's (staging) folder.
    pairs
        Columns of `KINSHIP_SCHEMA`, one row per pair of second degree or closer, both in the dataset.
    """
    ordered = pairs.sort_values(["sample_index_1", "sample_index_2"], ignore_index=True)
    return _write(
        root, "kinship.parquet", pa.Table.from_pandas(ordered, KINSHIP_SCHEMA, preserve_index=False)
    )


def write_people_qc(root: str, metrics: pd.DataFrame) -> TableFile:
    """Write people_qc.parquet.

    Parameters
    ----------
    root
        The dataset's (staging) folder.
    metrics
        sample_index, and one numeric column per metric; missing where a person has none.
    """
    ordered = metrics.sort_values("sample_index", ignore_index=True)
    names = [str(name) for name in ordered.columns if name != "sample_index"]
    schema = pa.schema(
        [
            pa.field("sample_index", pa.int32(), nullable=False),
            *(pa.field(name, pa.float64()) for name in names),
        ]
    )
    plain = ordered.astype({name: np.float64 for name in names})
    return _write(root, "people_qc.parquet", pa.Table.from_pandas(plain, schema, preserve_index=False))


def read_kinship(root: str, manifest: Manifest) -> pd.DataFrame | None:
    """Pairs of relatives, columns of `KINSHIP_SCHEMA`; null where the dataset holds no such table.

    Raises
    ------
    InputError
        If the file is absent, damaged, of another schema, or has another checksum than in the manifest.
    """
    if KINSHIP not in manifest.tables:
        return None
    table = _read(root, manifest.tables[KINSHIP])
    check_schema(table.schema, KINSHIP_SCHEMA, manifest.tables[KINSHIP].path)
    pairs: pd.DataFrame = table.to_pandas()
    return pairs


def read_people_qc(root: str, manifest: Manifest) -> pd.DataFrame | None:
    """Metrics of each person by `sample_index`, which is the index; null where there is no such table.

    Raises
    ------
    InputError
        If the file is absent, damaged or has another checksum than in the manifest, or a column is no number.
    """
    if PEOPLE_QC not in manifest.tables:
        return None
    file = manifest.tables[PEOPLE_QC]
    table = _read(root, file)
    odd = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    if odd != ["sample_index"]:
        wanted = "sample_index, and metrics as numbers"
        raise InputError(fault(file.path, "columns", found=f"{odd} without decimals", wanted=wanted))
    metrics: pd.DataFrame = table.to_pandas().set_index("sample_index")
    return metrics


def _write(root: str, path: str, table: pa.Table) -> TableFile:
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    content = buffer.getvalue()
    write_whole(posixpath.join(root, path), content)
    return TableFile(path=path, rows=table.num_rows, sha256=hashlib.sha256(content).hexdigest())


def _read(root: str, file: TableFile) -> pa.Table:
    filesystem, inside = open_storage(posixpath.join(root, file.path))
    try:
        content = filesystem.cat_file(inside)
        table = pq.ParquetFile(io.BytesIO(content)).read()
    except (OSError, pa.ArrowException) as error:
        found = f"no readable file ({type(error).__name__})"
        raise InputError(fault(root, file.path, found=found, wanted=f"{file.rows} rows (manifest)")) from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(
            fault(root, f"{file.path} sha256", found="another", wanted=f"{file.sha256[:12]} (manifest.json)")
        )
    return table
