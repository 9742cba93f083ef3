"""Files of a dataset: writing its parts, publishing it whole, reading it back.

Layout: manifest.json, genes.parquet, stats.parquet, samples/fold=K/part-NNNNN.parquet, under any URL that
fsspec knows.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.manifest import MANIFEST_NAME, Manifest, PartFile, TableFile, write_manifest
from contract.schema import (
    SAMPLE_SCHEMA,
    STATS_SCHEMA,
    check_schema,
    gene_properties,
    gene_schema,
)
from contract.storage import (
    copy_folder,
    exists,
    has_folders,
    make_folder,
    open_storage,
    remove,
    rename_folder,
    write_whole,
)

GENES_NAME = "genes.parquet"
STATS_NAME = "stats.parquet"


def staging_root(root: str) -> str:
    """Where a dataset is written before it is published under `root`."""
    return str(root).rstrip("/") + ".partial"


def prepare_staging(root: str) -> str:
    """Empty the staging folder of `root` and return it; what stands at `root` is not touched."""
    staging = staging_root(root)
    remove(staging)
    make_folder(staging)
    return staging


def part_path(fold: int, part: int) -> str:
    """Path of a part file relative to the dataset's root."""
    return f"samples/fold={fold}/part-{part:05d}.parquet"


def write_part(root: str, path: str, rows: pa.Table, row_group_size: int) -> PartFile:
    """Write rows of one fold as one Parquet file with row groups of equal size.

    Parameters
    ----------
    root
        The dataset's (staging) folder.
    path
        Relative path, see `part_path`.
    rows
        Columns of `SAMPLE_SCHEMA`, in row order; only a fold's last part may end in a smaller row group.
    row_group_size
        Rows of a row group.
    """
    buffer = io.BytesIO()
    pq.write_table(
        rows.select(SAMPLE_SCHEMA.names).cast(SAMPLE_SCHEMA),
        buffer,
        row_group_size=row_group_size,
        compression="zstd",
    )
    content = buffer.getvalue()
    write_whole(posixpath.join(root, path), content)
    row_groups = -(-rows.num_rows // row_group_size)
    return PartFile(
        path=path, rows=rows.num_rows, row_groups=row_groups, sha256=hashlib.sha256(content).hexdigest()
    )


def write_genes(root: str, genes: pd.DataFrame) -> None:
    """Write genes.parquet; `genes` has the columns of `GENE_SCHEMA` in genome order, and any properties."""
    _write_frame(posixpath.join(root, GENES_NAME), genes, gene_schema(gene_properties(genes.columns)))


def write_stats(root: str, stats: pd.DataFrame) -> None:
    """Write stats.parquet; `stats` has the columns of `STATS_SCHEMA`, sorted by fold, channel, gene."""
    _write_frame(posixpath.join(root, STATS_NAME), stats, STATS_SCHEMA)


def publish(root: str, manifest: Manifest) -> None:
    """Commit a staged dataset: its files take the place of what is at `root`, then the manifest is written.

    Writing the manifest is the one act that makes a dataset. Where folders have names that can be changed, an
    older dataset goes once the new one is complete. An object store has none: there the older manifest goes
    first, the store copies the staged files, and nothing counts until the new manifest does.
    """
    root, staged = str(root).rstrip("/"), staging_root(root)
    if not has_folders(root):
        remove(posixpath.join(root, MANIFEST_NAME))
        remove(root)
        copy_folder(staged, root)
        write_manifest(manifest, root)
        remove(staged)
        return
    previous = root + ".previous"
    remove(previous)
    if exists(root):
        rename_folder(root, previous)
    rename_folder(staged, root)
    write_manifest(manifest, root)
    remove(previous)


def fold_stats(fold: int, indices: NDArray[Any], values: NDArray[Any], n: int, n_genes: int) -> pd.DataFrame:
    """Sums of the stored (non-zero) features of one fold.

    Parameters
    ----------
    fold
        Index of the fold.
    indices, values
        Flat feature indices and values of all samples of the fold, in any order.
    n
        Samples in the fold: zeros count.
    n_genes
        Length of the gene axis.
    """
    present, inverse = np.unique(indices, return_inverse=True)
    values = values.astype(np.float64)
    return pd.DataFrame(
        {
            "fold": np.int32(fold),
            "channel": (present // n_genes).astype(np.int32),
            "gene": (present % n_genes).astype(np.int32),
            "n": np.int64(n),
            "sum": np.bincount(inverse, weights=values, minlength=len(present)),
            "sum_squares": np.bincount(inverse, weights=values**2, minlength=len(present)),
        }
    )


def read_genes(root: str, manifest: Manifest | None = None) -> pd.DataFrame:
    """The gene axis in genome order, columns of `GENE_SCHEMA` and any properties (NaN where unknown).

    Parameters
    ----------
    root
        The dataset's folder.
    manifest
        Its manifest, to compare the number of genes with; null: not compared.

    Raises
    ------
    InputError
        If the file is absent, damaged, of another schema or of another length than the manifest says.
    """
    path = posixpath.join(str(root), GENES_NAME)
    genes: pd.DataFrame = _read_table(path, None).to_pandas()
    if manifest is not None and len(genes) != manifest.n_genes:
        wanted = f"{manifest.n_genes} ({MANIFEST_NAME}: n_genes)"
        raise InputError(fault(path, "rows", found=f"{len(genes)} genes", wanted=wanted))
    return genes


def read_stats(root: str) -> pd.DataFrame:
    """Per fold × channel × gene sums, columns of `STATS_SCHEMA`; absent features have sums of 0."""
    stats: pd.DataFrame = _read_table(posixpath.join(str(root), STATS_NAME), STATS_SCHEMA).to_pandas()
    return stats


def read_samples(
    root: str, manifest: Manifest, folds: Iterable[int], columns: Sequence[str] = tuple(SAMPLE_SCHEMA.names)
) -> pd.DataFrame:
    """Rows of some folds, in the order of folds, files and rows.

    Parameters
    ----------
    root
        The dataset's folder.
    manifest
        Its manifest: only files that it lists are read.
    folds
        Indices of the folds wanted.
    columns
        Columns wanted.

    Raises
    ------
    InputError
        If a file of the manifest is absent, damaged or of another schema.
    """
    wanted = pa.schema([SAMPLE_SCHEMA.field(name) for name in columns])
    filesystem, base = open_storage(root)
    tables = [wanted.empty_table()]
    for index in folds:
        for file in manifest.fold(index).files:
            try:
                with filesystem.open(posixpath.join(base, file.path), "rb") as stream:
                    parquet = pq.ParquetFile(stream)
                    check_schema(parquet.schema_arrow, SAMPLE_SCHEMA, file.path)
                    tables.append(parquet.read(columns=list(columns)).select(list(columns)).cast(wanted))
            except (OSError, pa.ArrowException) as error:
                found = f"no readable file ({error})"
                raise InputError(
                    fault(root, file.path, found=found, wanted=f"{file.rows} rows (manifest)")
                ) from None
    samples: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return samples


def verify(root: str, manifest: Manifest) -> None:
    """Compare every part file, and every optional table, with its checksum in the manifest.

    Raises
    ------
    InputError
        With one sentence for each file that is absent or differs.
    """
    parts = [part for fold in manifest.folds for part in fold.files]
    faults = file_faults(root, [*parts, *manifest.tables.values()])
    if manifest.reference is not None:
        faults += _reference_faults(root, manifest.reference)
    if faults:
        raise InputError(faults)


def content_digest(root: str) -> str:
    """Digest of a dataset's files but its manifest, which tells when, where and by what it was made.

    Two datasets with the same one hold the same rows in the same order, genes, sums and tables.
    """
    filesystem, base = open_storage(root)
    found = hashlib.sha256()
    for path in sorted(filesystem.find(base)):
        name = posixpath.relpath(path, base)
        if name != MANIFEST_NAME:
            found.update(f"{name} {hashlib.sha256(filesystem.cat_file(path)).hexdigest()}\n".encode())
    return found.hexdigest()[:16]


def file_faults(root: str, files: Sequence[PartFile | TableFile]) -> list[str]:
    """A sentence for each of these files that is absent or differs from its checksum in the manifest."""
    filesystem, base = open_storage(root)
    faults = []
    for file in files:
        try:
            with filesystem.open(posixpath.join(base, file.path), "rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            absent = isinstance(error, FileNotFoundError)
            reason = "no such file" if absent else f"no readable file ({error})"
            faults.append(fault(root, file.path, found=reason, wanted=f"{file.rows} rows"))
            continue
        if found != file.sha256:
            wanted = f"{file.sha256[:12]} ({MANIFEST_NAME})"
            faults.append(fault(root, f"{file.path} sha256", found=found[:12], wanted=wanted))
    return faults


def _reference_faults(root: str, digest: str) -> list[str]:
    """The fault of a dataset whose reference/reference.json is absent or another one."""
    filesystem, path = open_storage(posixpath.join(root, "reference/reference.json"))
    try:
        found = hashlib.sha256(filesystem.cat_file(path)).hexdigest()[: len(digest)]
    except OSError:
        found = "no such file"
    wanted = f"{digest} ({MANIFEST_NAME})"
    return [] if found == digest else [fault(root, "reference/reference.json", found=found, wanted=wanted)]


def _write_frame(path: str, frame: pd.DataFrame, schema: pa.Schema) -> None:
    buffer = io.BytesIO()
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    write_whole(path, buffer.getvalue())


def _read_table(path: str, schema: pa.Schema | None) -> pa.Table:
    """A whole table, its schema checked; None: that of genes with whatever properties it has."""
    filesystem, inside = open_storage(path)
    try:
        with filesystem.open(inside, "rb") as stream:
            table = pq.ParquetFile(stream).read()
    except (OSError, pa.ArrowException) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"no readable file ({error})"
        raise InputError(fault(path, "whole file", found=found, wanted="a file of the dataset")) from None
    check_schema(table.schema, schema or gene_schema(gene_properties(table.schema.names)), path)
    return table
