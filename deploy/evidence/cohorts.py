"""Datasets of the contract whose truth is known: made by drawing alleles, without genotypes or an ETL."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from contract.dataset import part_path, prepare_staging, publish, write_genes, write_part, write_stats
from contract.example import gene_axis
from contract.manifest import Channel, Fold, Manifest, PartFile, TableFile
from contract.provenance import software_versions
from deploy.evidence.gene_truth import Floats, GeneTruth, draw_gene_truth
from deploy.evidence.label_mask import kept_variants, masked
from deploy.evidence.people import JUDGES, Block, draw_fold, fold_sizes
from deploy.evidence.people_tables import write_people_tables
from deploy.evidence.settings import CohortSettings

ROW_GROUP = 64
COVARIATES = ["is_female", "pc1", "pc2"]
DATASET, TRUTH, ARRAYS, GENE_SETS, PROPERTIES = (
    "dataset", "truth.json", "truth.npz", "gene_sets.tsv", "properties.parquet",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What is known of a cohort beside its dataset.

    Attributes
    ----------
    settings
        What the cohort was drawn from.
    folder
        Holds the dataset and these truths.
    causal
        Positions of causal genes on the gene axis, ascending.
    effect_GC
        Effect of an allele by gene and channel.
    liability_M, is_case_M
        Genetic liability and status of everyone by sample_index; in the sealed fold stand the judges.
    judge_M
        Whether a person is a judge.
    oracle_auroc
        Of the true liability on the judges.
    """

    settings: CohortSettings
    folder: Path
    causal: NDArray[np.int64]
    effect_GC: Floats
    liability_M: Floats
    is_case_M: NDArray[np.int8]
    judge_M: NDArray[np.bool_]
    oracle_auroc: float

    @property
    def dataset(self) -> str:
        """The dataset's folder."""
        return str(self.folder / DATASET)

    @property
    def gene_sets(self) -> Path:
        """A table gene_set, gene_id; only where the truth has pathways."""
        return self.folder / GENE_SETS

    @property
    def properties(self) -> Path:
        """A table gene_id, loeuf, s_het; only where the truth has constraint."""
        return self.folder / PROPERTIES


def write_cohort(settings: CohortSettings, folder: str | Path) -> Truth:
    """Write a dataset and its truth; the same settings give the same files.

    Nine folds hold the people, the sealed tenth the judges. Families never cross folds. Genetic liability
    comes from all alleles that a person carries, the dataset holds those that were called.

    Parameters
    ----------
    settings
        The cohort.
    folder
        Gets `dataset/`, truth.json, truth.npz and, where the form has them, gene_sets.tsv and
        properties.parquet. What stands there is replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRUTH).unlink(missing_ok=True)
    truth, root = draw_gene_truth(settings), str(folder / DATASET)
    staging = prepare_staging(root)
    genes = gene_axis(settings.n_genes)
    write_genes(staging, genes if truth.properties is None else genes.join(truth.properties))
    kept = kept_variants(truth, settings) if settings.label_mask.variants else None
    writer = _Writer(staging, settings, truth, kept)
    folds = [writer.write_fold(index, n) for index, n in enumerate(fold_sizes(settings))]
    write_stats(staging, pd.concat(writer.stats, ignore_index=True))
    tables = write_people_tables(
        staging, np.concatenate(writer.seconds), np.concatenate(writer.call_rates), settings.people_seed
    )
    publish(root, _manifest(settings, folds, tables))
    _write_tables(folder, truth, genes)
    liability_M, is_case_M = np.concatenate(writer.liabilities), np.concatenate(writer.statuses)
    judge_M = np.arange(len(is_case_M)) >= settings.n_people
    arrays = {"causal": truth.causal, "effect_GC": truth.effect_GC, "liability_M": liability_M}
    np.savez_compressed(folder / ARRAYS, is_case_M=is_case_M, judge_M=judge_M, **arrays)
    facts = {
        "settings": settings.model_dump(mode="json"),
        "oracle_auroc": _auroc(is_case_M[judge_M], liability_M[judge_M]),
        "causal_genes": genes["gene_id"].iloc[truth.causal].tolist(),
    }
    partial = folder / (TRUTH + ".partial")
    partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    partial.rename(folder / TRUTH)
    return read_truth(folder)


def read_truth(folder: str | Path) -> Truth:
    """The truth of a cohort that `write_cohort` has left."""
    folder = Path(folder)
    facts = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    with np.load(folder / ARRAYS) as arrays:
        return Truth(
            settings=CohortSettings.model_validate(facts["settings"]),
            folder=folder,
            oracle_auroc=facts["oracle_auroc"],
            **{name: arrays[name] for name in arrays.files},
        )


def open_cohort(settings: CohortSettings, folder: Path) -> Truth:
    """The cohort that stands in the folder where its settings are these, else a new one in its place."""
    try:
        truth = read_truth(folder)
        if truth.settings == settings and (folder / DATASET / "manifest.json").exists():
            return truth
    except (OSError, ValueError, KeyError):
        pass  # none there, or one that was not finished
    shutil.rmtree(folder, ignore_errors=True)
    return write_cohort(settings, folder)


class _Writer:
    """Writes folds block by block and keeps what the dataset says of all of them."""

    def __init__(
        self, staging: str, settings: CohortSettings, truth: GeneTruth, kept: NDArray[np.bool_] | None
    ) -> None:
        self._staging, self._settings, self._truth, self._kept = staging, settings, truth, kept
        self._people = self._families = 0
        self.stats: list[pd.DataFrame] = []
        self.liabilities: list[Floats] = []
        self.statuses: list[NDArray[np.int8]] = []
        self.call_rates: list[Floats] = []
        self.seconds: list[NDArray[np.bool_]] = []

    def write_fold(self, fold: int, n: int) -> Fold:
        files: list[PartFile] = []
        n_cases = 0
        sums_2F = np.zeros((2, self._truth.rate_GC.size))
        for number, block in enumerate(draw_fold(self._truth, self._settings, fold, n)):
            if self._kept is not None:
                block = masked(block, self._kept)
            rows = _rows(block, self._people, self._families)
            files.append(write_part(self._staging, part_path(fold, number), rows, ROW_GROUP))
            values = block.called_MF.data.astype(np.float64)
            for power in (1, 2):
                sums_2F[power - 1] += np.bincount(block.called_MF.indices, values**power, sums_2F.shape[1])
            self._people += rows.num_rows
            self._families += int(block.family_M[-1]) + 1
            n_cases += int(block.is_case_M.sum())
            self.liabilities.append(block.liability_M)
            self.statuses.append(block.is_case_M)
            self.call_rates.append(block.call_rate_M)
            self.seconds.append(np.diff(block.family_M, prepend=-1) == 0)
        self.stats.append(_stats(fold, n, sums_2F, self._settings.n_genes))
        return Fold(index=fold, n_samples=n, n_cases=n_cases, n_controls=n - n_cases, files=files)


def _rows(block: Block, first_person: int, first_family: int) -> pa.Table:
    n = len(block.is_case_M)
    called: csr_matrix = block.called_MF
    index = np.arange(first_person, first_person + n, dtype=np.int32)
    covariates = np.column_stack([block.is_female_M, block.component_M2]).astype(np.float32)
    offsets = pa.array(called.indptr, pa.int32())
    return pa.table(
        {
            "sample_id": [f"S{number:06d}" for number in index],
            "sample_index": index,
            "is_case": block.is_case_M,
            "sex": np.where(block.is_female_M, "female", "male"),
            "batch": np.where(block.in_batch_b_M, "B", "A"),
            "ancestry": ["group1"] * n,
            "family": block.family_M + np.int32(first_family),
            "covariates": pa.array(covariates.tolist(), pa.list_(pa.float32())),
            "indices": pa.ListArray.from_arrays(offsets, pa.array(called.indices, pa.int32())),
            "values": pa.ListArray.from_arrays(offsets, pa.array(called.data.astype(np.float32))),
        }
    )


def _stats(fold: int, n: int, sums_2F: Floats, n_genes: int) -> pd.DataFrame:
    present = np.flatnonzero(sums_2F[0])
    return pd.DataFrame(
        {
            "fold": np.int32(fold),
            "channel": (present // n_genes).astype(np.int32),
            "gene": (present % n_genes).astype(np.int32),
            "n": np.int64(n),
            "sum": sums_2F[0, present],
            "sum_squares": sums_2F[1, present],
        }
    )


def _manifest(settings: CohortSettings, folds: list[Fold], tables: dict[str, TableFile]) -> Manifest:
    return Manifest(
        reference_genome="GRCh38",
        n_samples=sum(fold.n_samples for fold in folds),
        n_genes=settings.n_genes,
        channels=[Channel(name=name, definition={"simulated": name}) for name in settings.channels],
        covariates=COVARIATES,
        cohort_covariates=["pc1", "pc2"],
        row_group_size=ROW_GROUP,
        test_fold=JUDGES,
        folds=folds,
        config=settings.model_dump(mode="json"),
        software=software_versions(["numpy", "scipy", "pyarrow", "pandas"]),
        seed=settings.people_seed,
        tables=tables,
    )


def _write_tables(folder: Path, truth: GeneTruth, genes: pd.DataFrame) -> None:
    for name in (GENE_SETS, PROPERTIES):
        (folder / name).unlink(missing_ok=True)
    if truth.gene_sets is not None:
        gene_id = genes["gene_id"].to_numpy()[truth.gene_sets["position"]]
        table = pd.DataFrame({"gene_set": truth.gene_sets["gene_set"], "gene_id": gene_id})
        table.to_csv(folder / GENE_SETS, sep="\t", index=False)
    if truth.properties is not None:
        table = pd.concat([genes[["gene_id"]], truth.properties], axis=1)
        table.to_parquet(folder / PROPERTIES, index=False)


def _auroc(is_case_M: NDArray[np.int8], liability_M: Floats) -> float:
    return round(float(roc_auc_score(is_case_M, liability_M)), 5)
