import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from contract.dataset import read_genes
from contract.errors import InputError
from contract.manifest import Manifest, read_manifest
from train.bundle import Bundle, check_dataset, load_bundle, save_bundle
from train.run_folder import BUNDLE_NAME


def test_bundle__round_trip_gives_the_same_logits(evaluated_run: Path, tmp_path: Path):
    bundle = load_bundle(evaluated_run / BUNDLE_NAME)
    save_bundle(tmp_path / "bundle", bundle)
    again = load_bundle(tmp_path / "bundle")
    assert again.facts == bundle.facts
    inputs = torch.randn(3, 4, 60), torch.randn(3, 1)
    torch.testing.assert_close(again.model()(*inputs), bundle.model()(*inputs))


@pytest.mark.parametrize(
    "name", ["bundle.json", "weights.safetensors", "scaler.safetensors", "genes.parquet"]
)
def test_load_bundle__absent_or_damaged_file(evaluated_run: Path, tmp_path: Path, name: str):
    copy = Path(shutil.copytree(evaluated_run / BUNDLE_NAME, tmp_path / "bundle"))
    (copy / name).write_bytes(b"damaged")
    with pytest.raises(InputError, match="bundle: found damaged"):
        load_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(InputError, match="found no such file, wanted the bundle of a finished fit"):
        load_bundle(copy)


def test_load_bundle__another_version(evaluated_run: Path, tmp_path: Path):
    copy = Path(shutil.copytree(evaluated_run / BUNDLE_NAME, tmp_path / "bundle"))
    facts = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(facts | {"format_version": 1}))
    with pytest.raises(InputError, match=r"format_version: found 1"):
        load_bundle(copy)


def without_a_weight(bundle: Bundle) -> Bundle:
    return replace(bundle, weights={k: v for k, v in bundle.weights.items() if k != "intercept"})


def with_nan(bundle: Bundle) -> Bundle:
    return replace(bundle, weights={**bundle.weights, "intercept": torch.tensor(np.nan)})


def with_other_scaler(bundle: Bundle) -> Bundle:
    return replace(bundle, scaler=replace(bundle.scaler, mean_F=bundle.scaler.mean_F[:-1]))


def with_other_genes(bundle: Bundle) -> Bundle:
    return replace(bundle, genes=swap_two_genes(bundle.genes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_weight, r"weights.safetensors of another network .*Missing key.*intercept"),
        (with_nan, "numbers that are not finite in weights.safetensors"),
        (with_other_scaler, "scaler.safetensors of another size"),
        (with_other_genes, "genes.parquet with other genes than bundle.json says"),
    ],
)
def test_load_bundle__files_that_do_not_fit(
    evaluated_run: Path, tmp_path: Path, change: Callable[[Bundle], Bundle], message: str
):
    save_bundle(tmp_path / "bundle", change(load_bundle(evaluated_run / BUNDLE_NAME)))
    with pytest.raises(InputError, match=f"bundle: found {message}.*, wanted the files of one fit"):
        load_bundle(tmp_path / "bundle")


def swap_two_genes(genes: pd.DataFrame) -> pd.DataFrame:
    order = [1, 0, *range(2, len(genes))]
    return genes.assign(gene_id=genes["gene_id"].to_numpy()[order])


CHANGES: list[tuple[dict[str, Any], Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    ({"reference_genome": "GRCh37"}, lambda genes: genes, "reference_genome: found GRCh37, wanted GRCh38"),
    ({"covariates": ["age"]}, lambda genes: genes, r"covariates: found \['age'\], wanted \['is_female'\]"),
    ({}, lambda genes: genes.head(59), "genes: found 59 genes, wanted the bundle's 60"),
    (
        {},
        swap_two_genes,
        r"gene_id at position 0 \(2 differ\): found ENSG00000000001, wanted ENSG00000000000",
    ),
]


@pytest.mark.parametrize(("change", "change_genes", "message"), CHANGES)
def test_check_dataset__refuses(
    evaluated_run: Path,
    dataset: str,
    change: dict[str, Any],
    change_genes: Callable[[pd.DataFrame], pd.DataFrame],
    message: str,
):
    manifest, genes = read_manifest(dataset).model_copy(update=change), change_genes(read_genes(dataset))
    with pytest.raises(InputError, match=message):
        check_dataset(load_bundle(evaluated_run / BUNDLE_NAME), manifest, genes, "new")


def test_check_dataset__channels_by_name_and_definition(evaluated_run: Path, dataset: str):
    bundle, manifest, genes = (
        load_bundle(evaluated_run / BUNDLE_NAME),
        read_manifest(dataset),
        read_genes(dataset),
    )
    check_dataset(bundle, manifest, genes, "same")
    turned = manifest.model_copy(update={"channels": manifest.channels[::-1]})
    with pytest.raises(InputError, match=r"channels: found \['synonymous', .*wanted \['plof'"):
        check_dataset(bundle, turned, genes, "new")
    looser = manifest.model_dump()
    looser["channels"][0]["definition"] = {"max_af": 0.5}
    with pytest.raises(InputError, match=r"channel plof: found another definition of the mask"):
        check_dataset(bundle, Manifest.model_validate(looser), genes, "new")
