import gzip
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from contract.config import build_config
from contract.dataset import read_genes as read_dataset_genes
from contract.errors import InputError
from contract.manifest import read_manifest
from contract.schema import GENE_SCHEMA
from etl.annotate.config import GeneColumns, GenesConfig, PropertiesConfig
from etl.annotate.genes import read_genes
from etl.annotate.properties import property_counts, read_properties
from etl.config import EtlConfig
from etl.pipeline import plan, run
from tests.etl.study import Study

GENES = pd.DataFrame(
    {"gene_id": ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"], "symbol": ["A", "B", None]}
)
TABLE = (
    "gene\tid\toe_lof_upper\ts_het\tnote\n"
    "B\tENSG00000000002.7\t0.25\tNA\tx\n"
    "Z\tENSG00000000009\t1.5\t0.1\tx\n"
    "A\tENSG00000000001\t\t 2e-3 \tx\n"
)


def settings(path: object, **changes: object) -> PropertiesConfig:
    own = {"path": str(path), "gene_id": "id", "columns": ["oe_lof_upper", "s_het"]}
    return build_config(PropertiesConfig, {**own, **changes}, "etl.yaml")


def written(folder: Path, text: str = TABLE) -> Path:
    path = folder / "constraint.tsv"
    path.write_text(text)
    return path


def test_read_properties__by_id_in_the_order_of_the_axis(tmp_path):
    found = read_properties(settings(written(tmp_path)), GENES)
    assert found["oe_lof_upper"].tolist() == pytest.approx([np.nan, 0.25, np.nan], nan_ok=True)
    assert found["s_het"].tolist() == pytest.approx([0.002, np.nan, np.nan], nan_ok=True)
    assert set(found.dtypes) == {np.dtype("float64")}
    assert property_counts(found) == {
        "genes_with_oe_lof_upper": 1,
        "genes_without_oe_lof_upper": 2,
        "genes_with_s_het": 1,
        "genes_without_s_het": 2,
    }


def test_read_properties__by_symbol_under_another_name(tmp_path):
    config = settings(written(tmp_path), gene_id=None, symbol="gene", columns={"loeuf": "oe_lof_upper"})
    assert read_properties(config, GENES)["loeuf"].tolist() == pytest.approx(
        [np.nan, 0.25, np.nan], nan_ok=True
    )


def test_read_properties__a_symbol_of_two_genes_is_that_of_neither(tmp_path):
    genes = pd.DataFrame({"gene_id": ["1", "2", "3"], "symbol": ["B", "B", "Z"]})
    config = settings(written(tmp_path), gene_id=None, symbol="gene", columns=["oe_lof_upper"])
    assert read_properties(config, genes)["oe_lof_upper"].tolist() == pytest.approx(
        [np.nan, np.nan, 1.5], nan_ok=True
    )


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.tsv.gz", "p.tsv.bgz", "p.txt"])
def test_read_properties__forms_of_a_table(tmp_path, name):
    text = TABLE.replace("\t", ",") if ".csv" in name else TABLE
    packed = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    (tmp_path / name).write_bytes(packed)
    found = read_properties(settings(tmp_path / name), GENES)
    pd.testing.assert_frame_equal(found, read_properties(settings(written(tmp_path)), GENES))


def test_read_properties__from_a_url():
    with fsspec.open("memory://properties/p.tsv", "wt") as stream:
        stream.write(TABLE)
    assert read_properties(settings("memory://properties/p.tsv"), GENES)["s_het"].notna().sum() == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id\toe", "ids\toe", r"column id: found columns gene, ids, oe_lof_upper, s_het, note, wanted 'id'"),
        ("s_het", "shet", r"column s_het: found columns gene, id, oe_lof_upper, shet, note, wanted 's_het'"),
        ("0.25", "low", r"column oe_lof_upper: found 'low' in row 1, wanted finite numbers, or nothing"),
        ("1.5", "inf", r"column oe_lof_upper: found 'inf' in row 2, wanted finite numbers"),
        (" 2e-3 ", "", r"column s_het: found no value, wanted one of some gene"),
        (
            "Z\tENSG00000000009",
            "Z\tENSG00000000002.8",
            r"column id: found 1 genes more than once, such as 'ENSG00000000002', wanted one row for each",
        ),
        (
            "ENSG",
            "ENSMUSG",
            r"column id: found properties of other genes, wanted some of the 3 genes of the axis",
        ),
    ],
)
def test_read_properties__faults(tmp_path, old, new, message):
    path = written(tmp_path, TABLE.replace(old, new))
    with pytest.raises(InputError, match=rf"constraint.tsv: {message}") as error:
        read_properties(settings(path), GENES)
    assert len(error.value.faults) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("p.tsv", b""), ("p.tsv.gz", b"id\n"), ("p.tsv", b"id\ta\n\xff\xfe\t1\n"), ("p.tsv", None)],
    ids=["empty", "not gzip", "binary", "absent"],
)
def test_read_properties__unreadable_files(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: genes.properties: found no readable file \("):
        read_properties(settings(tmp_path / name), GENES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gene_id": None}, "wanted: either gene_id or symbol"),
        ({"symbol": "gene"}, "wanted: either gene_id or symbol"),
        ({"columns": []}, "columns: found .*, wanted: .*at least 1"),
        ({"columns": ["s_het", "s_het"]}, "wanted: each column once, not s_het twice"),
        ({"columns": {"start": "s_het"}}, "wanted: names that the gene axis has not taken yet"),
    ],
)
def test_properties_config__faults(changes, message):
    with pytest.raises(InputError, match=message):
        settings("p.tsv", **changes)


@pytest.mark.parametrize(
    ("build", "n_genes", "n_loeuf", "n_pli"), [("37", 20314, 19183, 18117), ("38", 20011, 18323, 16874)]
)
def test_read_properties__gnomad_and_exac(shared_data, build, n_genes, n_loeuf, n_pli):
    folder = shared_data / "08_gene_tables"
    ensembl = folder / f"ensembl_genes/ensembl_grch{build}_protein_coding_genes.tsv.gz"
    genes, _ = read_genes(
        GenesConfig(path=str(ensembl), columns=GeneColumns(gene_id="ensgene", contig="chr")), f"GRCh{build}"
    )
    gnomad = folder / "gnomad_v2.1.1_constraint/gnomad_v2.1.1_lof_metrics_by_gene.tsv.gz"
    by_id = read_properties(
        settings(gnomad, gene_id="gene_id", columns={"loeuf": "oe_lof_upper", "pli": "pLI"}), genes
    )
    exac = settings(folder / "exac_pli/pLI_values.txt", gene_id=None, symbol="gene", columns=["pLI"])
    by_symbol = read_properties(exac, genes)["pLI"]
    assert (len(by_id), by_id["loeuf"].notna().sum(), by_symbol.notna().sum()) == (n_genes, n_loeuf, n_pli)
    setd1a = genes.index[genes["symbol"] == "SETD1A"].item()
    assert by_id["loeuf"][setd1a] < 0.2
    assert by_id["pli"][setd1a] > 0.99
    # gnomAD contains ExAC: a join that is a row off would not agree.
    assert by_id["pli"].corr(by_symbol, method="spearman") > 0.8


def test_dataset__has_the_properties_of_the_simulated_table(finished: Study):
    root = str(finished.out / "dataset")
    manifest = read_manifest(root)
    genes = read_dataset_genes(root, manifest)
    path = finished.cohort / "constraint.tsv"
    table = pd.read_csv(path, sep="\t").set_index("gene_id").loc[genes["gene_id"]]
    assert list(genes.columns) == [*GENE_SCHEMA.names, "loeuf", "s_het"]
    assert genes["loeuf"].tolist() == table["loeuf"].tolist()
    assert genes["s_het"].tolist() == table["s_het"].tolist()
    assert manifest.counts["genes_with_loeuf"] == manifest.n_genes
    assert manifest.counts["genes_without_s_het"] == 0
    assert len(manifest.digests[str(path)]) == 16
    assert manifest.config["genes"]["properties"]["columns"] == {"loeuf": "loeuf", "s_het": "s_het"}


def waiting(config: EtlConfig) -> list[str]:
    return [status.step.name for status in plan(config) if not status.done]


def test_plan__a_changed_table_of_properties_and_nothing_before(finished: Study, tmp_path: Path):
    changed = tmp_path / "constraint.tsv"
    shutil.copy(finished.cohort / "constraint.tsv", changed)
    lines = changed.read_text().splitlines()
    changed.write_text("\n".join([lines[0], lines[1].rsplit("\t", 1)[0] + "\tNA", *lines[2:]]) + "\n")
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    again = Study(finished.cohort, out, finished.truth)
    config = again.config(genes__properties__path=changed)
    assert waiting(config) == ["dataset", "association", "report"]
    run(config, console=Console(quiet=True))
    assert read_manifest(str(out / "dataset")).counts["genes_without_loeuf"] == 1

    assert str(changed) in read_manifest(str(out / "dataset")).digests
    changed.write_text(changed.read_text() + "ENSG99999999999\tNEW\t0.1\t0.1\n")
    assert waiting(config) == ["dataset", "association", "report"]
