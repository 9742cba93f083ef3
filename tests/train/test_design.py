import numpy as np

from contract.dataset import read_samples
from contract.manifest import read_manifest
from train.config import DataConfig
from train.design import read_design


def test_read_design__same_people_and_features_as_the_parquet_files(dataset: str) -> None:
    manifest = read_manifest(dataset)
    design = read_design(DataConfig(dataset=dataset, reader="arrow"), manifest, [2, 0])
    wanted = read_samples(dataset, manifest, [0, 2]).sort_values("sample_index", ignore_index=True)
    assert design.sample_M.tolist() == wanted["sample_index"].tolist()
    assert design.is_case_M.tolist() == wanted["is_case"].tolist()
    assert design.groups["batch"].tolist() == wanted["batch"].tolist()
    row = wanted.iloc[7]
    assert design.x_MF[7].indices.tolist() == row["indices"].tolist()
    assert design.x_MF[7].data.tolist() == row["values"].tolist()
    totals = np.bincount(row["indices"] // manifest.n_genes, row["values"], len(manifest.channels))
    assert design.channel_totals_MC()[7].tolist() == totals.tolist()


def test_take__mask_and_positions_give_the_same_people(dataset: str) -> None:
    design = read_design(DataConfig(dataset=dataset, reader="arrow"), read_manifest(dataset), [0])
    mask = design.is_case_M == 1
    by_mask, by_rows = design.take(mask), design.take(np.flatnonzero(mask))
    assert by_mask.sample_M.tolist() == by_rows.sample_M.tolist()
    assert (by_mask.x_MF != by_rows.x_MF).nnz == 0
    assert by_mask.groups.equals(by_rows.groups)
