"""What a cohort keeps so that new people can be described and judged as its own people were.

A folder `reference/` beside a dataset's manifest, or in a bundle: reference.json, written last, names its
other files with their checksums. All of it are numbers of many people: no person's row is in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from contract.config import ConfigModel, build_config
from contract.errors import InputError, fault
from contract.manifest import MANIFEST_NAME, Channel, CovariateColumn, read_manifest
from contract.storage import open_storage, write_whole

REFERENCE_FOLDER, REFERENCE_NAME = "reference", "reference.json"
GENES_FILE, GENES_TEXT, LOADINGS_FILE = "genes.parquet", "genes.tsv", "loadings.parquet"
BUNDLE_FACTS = "bundle.json"
REFERENCE_FORMAT = 1

REMEDY = "a dataset that the present ETL wrote with for_new_people.write, or a bundle fitted on one"

SIGNIFICANT = 4.0
"""Standard deviations from the mean of people like them, beyond which a burden is none of theirs: of normal
numbers one in sixteen thousand."""

ANSCOMBE = 3 / 8
"""Added to a count before its square root is taken, whose spread then hardly depends on it."""


class ReferenceFile(ConfigModel):
    """A Parquet file of the folder."""

    path: str = Field(description="relative to the folder")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class VariantFile(ReferenceFile):
    """Variants of one contig, ascending by position."""

    contig: str
    first: int = Field(description="position of its first variant")
    last: int


class Group(ConfigModel):
    """People outside the sealed fold of one ancestry group, on the components that are kept."""

    name: str
    n: int
    mean: list[float]
    covariance: list[list[float]]
    cut: float = Field(description="squared Mahalanobis distance beyond which nobody is one of them")


class Burden(ConfigModel):
    """√(burden + 3/8) of a channel among people outside the sealed fold, of an ancestry group or of all."""

    channel: str
    ancestry: str | None = Field(description="null: everybody")
    n: int
    mean: float
    deviation: float


class Comparison(ConfigModel):
    """How a person's metric is compared with people of their ancestry, see `etl.qc.outliers`."""

    metric: str
    ancestry: str
    centres: list[float] = Field(description="of the components that it is adjusted for; may be none")
    slopes: list[float]
    intercept: float
    median: float = Field(description="of what the components leave")
    spread: float
    max_deviations: float
    upper_only: bool


class Reference(ConfigModel):
    """reference.json: the first cohort's definitions and distributions."""

    format_version: Literal[1] = 1
    reference_genome: Literal["GRCh37", "GRCh38"]
    config: dict[str, Any] = Field(description="sections of the ETL's configuration that new people inherit")
    channels: list[Channel]
    covariates: list[str]
    cohort_covariates: list[str]
    covariate_columns: dict[str, CovariateColumn] = Field(
        default_factory=dict, description="covariates that are columns of the samples table, and their rules"
    )
    test_fold: int
    n_people: int = Field(description="outside the sealed fold: whom frequencies and distributions are of")
    n_men: int | None = Field(None, description="of them; null: made before it was kept, half are taken")
    min_cell: int = Field(description="what fewer people share is coarsened or left out")
    small_cells: Literal["coarsen", "suppress"]
    components: list[str] = Field(description="names of the components that are kept")
    baseline: list[float] = Field(
        description="scores of somebody who carries no alternate allele of a marker"
    )
    covariate_means: dict[str, float]
    covariate_deviations: dict[str, float]
    groups: list[Group]
    burdens: list[Burden]
    comparisons: list[Comparison]
    lowest_call_rate: float | None = Field(
        description="common_call_rate of people outside the sealed fold, but of very few"
    )
    files: list[ReferenceFile]
    variants: list[VariantFile]

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in (*self.files, *self.variants))


@dataclass(frozen=True)
class OpenReference:
    """A reference and where its files are."""

    folder: str
    digest: str
    content: Reference

    def table(self, name: str) -> pd.DataFrame:
        """A small table of the folder.

        Raises
        ------
        InputError
            If the file is absent, damaged or has another checksum than reference.json says.
        """
        (file,) = (file for file in self.content.files if file.path == name)
        content = _read(self.folder, file)
        frame: pd.DataFrame = pq.ParquetFile(io.BytesIO(content)).read().to_pandas()
        return frame


def content_digest(content: bytes) -> str:
    """What a manifest and a bundle name a reference by."""
    return hashlib.sha256(content).hexdigest()[:16]


def open_reference(url: str) -> OpenReference:
    """The reference of a dataset or of a bundle.

    A bundle holds it, or where it is large, its place and its digest.

    Parameters
    ----------
    url
        Folder or URL of a dataset or of a bundle.

    Raises
    ------
    InputError
        If it is neither, has no reference because it is older than that, or the reference is damaged, of
        another version or another one than the dataset or the bundle was made with.
    """
    filesystem, path = open_storage(url)
    base = url.rstrip("/")
    if filesystem.exists(posixpath.join(path, BUNDLE_FACTS)):
        digest, elsewhere = _of_bundle(url)
        own = posixpath.join(base, REFERENCE_FOLDER)
        found = _opened(own, digest)
        files = [*found.content.files, *found.content.variants]
        inside, folder = open_storage(own)
        complete = all(inside.exists(posixpath.join(folder, file.path)) for file in files)
        return found if complete or not elsewhere else _opened(elsewhere, digest)
    if not filesystem.exists(posixpath.join(path, MANIFEST_NAME)):
        found_text = f"neither {MANIFEST_NAME} nor {BUNDLE_FACTS}"
        raise InputError(fault(url, "like", found=found_text, wanted="a finished dataset, or a bundle"))
    manifest = read_manifest(url)
    if manifest.like is not None:
        raise InputError(fault(url, "like", found="a dataset made like another one", wanted="that other one"))
    if manifest.reference is None:
        raise InputError(fault(url, REFERENCE_FOLDER, found="no such folder", wanted=REMEDY))
    return _opened(posixpath.join(base, REFERENCE_FOLDER), manifest.reference)


def _of_bundle(url: str) -> tuple[str, str | None]:
    filesystem, path = open_storage(posixpath.join(url.rstrip("/"), BUNDLE_FACTS))
    try:
        facts = json.loads(filesystem.cat_file(path))
        digest, elsewhere = facts.get("reference_digest"), facts.get("reference_url")
    except (OSError, ValueError, AttributeError):
        raise InputError(fault(url, BUNDLE_FACTS, found="damaged", wanted="a readable bundle")) from None
    if digest is None:
        raise InputError(fault(url, REFERENCE_FOLDER, found="no such folder", wanted=REMEDY))
    return str(digest), elsewhere


def _opened(folder: str, digest: str) -> OpenReference:
    filesystem, path = open_storage(posixpath.join(folder, REFERENCE_NAME))
    try:
        content = filesystem.cat_file(path)
    except OSError:
        raise InputError(fault(folder, REFERENCE_NAME, found="no such file", wanted=REMEDY)) from None
    if content_digest(content) != digest:
        wanted = f"{digest}, as the manifest or the bundle says"
        raise InputError(fault(folder, REFERENCE_NAME, found=content_digest(content), wanted=wanted))
    settings = json.loads(content)
    version = settings.get("format_version")
    if version != REFERENCE_FORMAT:
        found = f"format_version {version}"
        raise InputError(fault(folder, REFERENCE_NAME, found=found, wanted=str(REFERENCE_FORMAT)))
    return OpenReference(
        folder, digest, build_config(Reference, settings, posixpath.join(folder, REFERENCE_NAME))
    )


def check_files(reference: OpenReference) -> None:
    """Compare the folder's files with their sizes in reference.json, and small ones with their checksums.

    Raises
    ------
    InputError
        With one sentence for each file that is absent or differs.
    """
    filesystem, base = open_storage(reference.folder)
    faults = []
    for file in reference.content.variants:
        try:
            size = int(filesystem.size(posixpath.join(base, file.path)))
        except OSError:
            size = -1
        if size != file.bytes:
            found = "no such file" if size < 0 else f"{size} bytes"
            faults.append(fault(reference.folder, file.path, found=found, wanted=f"{file.bytes} bytes"))
    for small in reference.content.files:
        try:
            _read(reference.folder, small)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)


def _read(folder: str, file: ReferenceFile) -> bytes:
    filesystem, path = open_storage(posixpath.join(folder, file.path))
    try:
        content: bytes = filesystem.cat_file(path)
    except OSError:
        wanted = f"{file.rows} rows ({REFERENCE_NAME})"
        raise InputError(fault(folder, file.path, found="no such file", wanted=wanted)) from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        wanted = f"{file.sha256[:12]} ({REFERENCE_NAME})"
        raise InputError(fault(folder, f"{file.path} sha256", found="another", wanted=wanted))
    return content


def write_frame(folder: str, name: str, frame: pd.DataFrame) -> ReferenceFile:
    """Write a small table of the folder."""
    buffer = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, buffer, compression="zstd")
    content = buffer.getvalue()
    _write(folder, name, content)
    return ReferenceFile(
        path=name, rows=len(frame), bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def write_gene_text(folder: str, genes: pd.DataFrame) -> ReferenceFile:
    """Write the gene axis as a table that the ETL reads as it reads others."""
    columns = ["gene_id", "symbol", "contig", "start", "end"]
    content = genes[columns].to_csv(sep="\t", index=False, lineterminator="\n").encode()
    _write(folder, GENES_TEXT, content)
    return ReferenceFile(
        path=GENES_TEXT, rows=len(genes), bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def write_reference(folder: str, reference: Reference) -> str:
    """Write reference.json, the mark that the folder is complete; returns its digest."""
    content = json.dumps(reference.model_dump(mode="json"), indent=1).encode()
    _write(folder, REFERENCE_NAME, content)
    return content_digest(content)


def copy_reference(source: OpenReference, folder: str, *, files: bool) -> None:
    """Copy a reference to another folder, reference.json last; `files`: with all that it names."""
    wanted = [*source.content.files, *source.content.variants] if files else []
    for path in (*(file.path for file in wanted), REFERENCE_NAME):
        filesystem, inside = open_storage(posixpath.join(source.folder, path))
        _write(folder, path, filesystem.cat_file(inside))


def _write(folder: str, name: str, content: bytes) -> None:
    write_whole(posixpath.join(folder, name), content)


def person_burdens(samples: pd.DataFrame, n_channels: int, n_genes: int) -> NDArray[np.float64]:
    """Sum of each person's features by channel, M × channels, from the columns indices and values."""
    burden_MC = np.zeros((len(samples), n_channels))
    for place, (indices, values) in enumerate(zip(samples["indices"], samples["values"], strict=True)):
        burden_MC[place] = np.bincount(np.asarray(indices, np.int64) // n_genes, values, minlength=n_channels)
    return burden_MC


def distances(groups: list[Group], components_MK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Mahalanobis distance from the nearest group over that group's cut, M people; 0 without any.

    Above 1: unlike everybody whom the reference was made from.
    """
    if not groups or not components_MK.shape[1]:
        return np.zeros(len(components_MK))
    shares = []
    for group in groups:
        step_MK = components_MK - np.array(group.mean)
        precision = np.linalg.pinv(np.array(group.covariance))
        shares.append(np.einsum("mk,kl,ml->m", step_MK, precision, step_MK) / group.cut)
    nearest: NDArray[np.float64] = np.min(shares, axis=0)
    return nearest


def burden_deviations(
    burdens: list[Burden], channel: str, burden_M: NDArray[np.float64], ancestry_M: NDArray[np.object_]
) -> NDArray[np.float64]:
    """Standard deviations from the mean of people of the same ancestry, else of everybody; M people.

    0 where the reference has no spread of the channel.
    """
    by_group = {burden.ancestry: burden for burden in burdens if burden.channel == channel}
    deviation_M = np.zeros(len(burden_M))
    for place, (burden, ancestry) in enumerate(zip(burden_M, ancestry_M, strict=True)):
        like = by_group.get(ancestry, by_group.get(None))
        if like is not None and like.deviation > 0:
            deviation_M[place] = (np.sqrt(max(burden, 0.0) + ANSCOMBE) - like.mean) / like.deviation
    return deviation_M
