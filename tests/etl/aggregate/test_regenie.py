"""Masks that regenie wrote, from the genotypes, sets, annotations and mask definitions of its example data.

`example_3chr_masks` holds SET1.M1.0.2 and SET2.M2.0.2 for 494 people: the largest allele count over variants
of alternate allele frequency up to 0.2. The other rules follow regenie's source (src/Masks.cpp).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession

from contract.config import build_config
from etl.aggregate.config import MaskConfig
from etl.aggregate.genes import add_up, sum_features
from etl.aggregate.masks import FEATURE, READ_COLUMNS, mask_features
from etl.annotate.consequence import Site
from etl.annotate.group_table import join_groups
from etl.annotate.groups import GroupAnnotator
from etl.annotate.part_rows import PartRows
from etl.annotate.variants import ANNOTATED_SCHEMA
from etl.cohort.people import KeptPeople
from etl.cohort.schema import HET, HOM_ALT
from etl.config import EtlConfig
from etl.genome import genome

M1, M2 = ("pLof",), ("pLof", "missense")
SETS = ("SET1", "SET2")
"""SET4 names variants that the annotations do not have."""


def read_bed(prefix: Path) -> tuple[np.ndarray, list[str], list[tuple[str, str]]]:
    """Counts of A1 (-1: missing) by variant and person, the variants' names, and the people."""
    people = [tuple(line.split()[:2]) for line in prefix.with_suffix(".fam").read_text().splitlines()]
    names = [line.split()[1] for line in prefix.with_suffix(".bim").read_text().splitlines()]
    packed = np.frombuffer(prefix.with_suffix(".bed").read_bytes()[3:], np.uint8)
    packed = packed.reshape(len(names), -1)
    codes = (packed[:, :, np.newaxis] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    counts = np.array([2, -1, 1, 0])[codes.reshape(len(names), -1)[:, : len(people)]]
    return counts, names, people


@pytest.fixture(scope="module")
def regenie(shared_data: Path) -> Path:
    return shared_data / "02_regenie"


@pytest.fixture(scope="module")
def genotypes(regenie: Path) -> tuple[np.ndarray, list[str], list[tuple[str, str]]]:
    """Of the people that regenie kept."""
    counts, names, people = read_bed(regenie / "example_3chr.bed")
    removed = {
        tuple(line.split()[:2]) for line in (regenie / "fid_iid_to_remove.txt").read_text().splitlines()
    }
    kept = np.array([person not in removed for person in people])
    assert (kept.sum(), (counts < 0).sum()) == (494, 0)
    return counts[:, kept], names, [person for person in people if person not in removed]


@pytest.fixture(scope="module")
def members(regenie: Path) -> dict[str, list[tuple[int, str]]]:
    """Sets and categories of each variant."""
    lines = [line.split() for line in (regenie / "example_3chr.annotations").read_text().splitlines()]
    category = {(variant, gene): name for variant, gene, name in lines}
    found: dict[str, list[tuple[int, str]]] = {}
    for line in (regenie / "example_3chr.setlist").read_text().splitlines():
        gene, _, _, variants = line.split()
        for variant in variants.split(","):
            if gene in SETS and (variant, gene) in category:
                found.setdefault(variant, []).append((SETS.index(gene), category[variant, gene]))
    return found


def our_masks(masks, genotypes, members, folder: Path) -> np.ndarray:
    """People × masks × sets, from two tasks; nobody's own alleles are taken out, as in regenie.

    Members of a variant: gene, class and word, or one word for both.
    """
    counts, names, people = genotypes
    rows = [
        {
            "variant": place,
            "allele_count": int(counts[place].sum()),
            "allele_number": 2 * len(people),
            "consequences": [
                {"gene": gene, "variant_class": words[0], "terms": [words[-1]]}
                for gene, *words in members.get(name, [])
            ],
        }
        for place, name in enumerate(names)
    ]
    annotated = pa.RecordBatch.from_pylist(rows, schema=ANNOTATED_SCHEMA).select(list(READ_COLUMNS))
    by_variant = {
        row["variant"]: row["features"] for row in mask_features(annotated, masks, len(SETS)).to_pylist()
    }
    entries = []
    for part in np.array_split(np.arange(len(names)), 2):
        listed = [np.flatnonzero(counts[place]) for place in part]
        codes = [
            np.where(counts[place][who] == 1, HET, HOM_ALT) for place, who in zip(part, listed, strict=True)
        ]
        batch = pa.RecordBatch.from_pydict(
            {
                "region": pa.array(["autosome"] * len(part)),
                "person": pa.array([who.tolist() for who in listed], pa.list_(pa.int32())),
                "call": pa.array([code.tolist() for code in codes], pa.list_(pa.int8())),
                "features": pa.array([by_variant.get(place, []) for place in part], pa.list_(FEATURE)),
            }
        )
        everybody = KeptPeople(np.arange(len(people), dtype=np.int32), np.zeros(len(people), np.int8))
        entries.append(sum_features(batch, everybody, np.zeros(len(people), dtype=bool)))
    pq.write_table(pa.Table.from_batches(entries), folder / "entries.parquet")
    frame = SparkSession.builder.getOrCreate().read.parquet(str(folder / "entries.parquet"))
    found = add_up(frame, masks, len(SETS)).toPandas()
    values = np.zeros((len(people), len(masks) * len(SETS)))
    values[found["sample_index"], found["index"]] = found["value"]
    return values.reshape(len(people), len(masks), len(SETS))


def test_masks__equal_those_that_regenie_wrote(regenie, genotypes, members, tmp_path, hail_session):
    written, names, people = read_bed(regenie / "example_3chr_masks.bed")
    assert names == ["SET1.M1.0.2", "SET2.M2.0.2"]
    # The file keeps a place for people who were removed.
    written = written[:, [people.index(person) for person in genotypes[2]]]
    masks = [
        MaskConfig(name=name, classes=classes, max_frequency=0.2, combine="max")
        for name, classes in (("M1", M1), ("M2", M2))
    ]
    ours = our_masks(masks, genotypes, members, tmp_path)
    for place, (mask, gene) in enumerate([(0, "SET1"), (1, "SET2")]):
        assert len(np.unique(written[place])) == 3
        assert np.array_equal(ours[:, mask, SETS.index(gene)], written[place])


def annotation_config(regenie: Path, folder: Path) -> EtlConfig:
    """The example as a user would name it, without a block of masks; its alleles D and d become bases."""
    lines = [line.split() for line in (regenie / "example_3chr.bim").read_text().splitlines()]
    ids = folder / "ids.bim"
    ids.write_text("".join("\t".join([*fields[:4], "C", "A"]) + "\n" for fields in lines))
    files = {name: str(regenie / f"example_3chr.{end}") for name, end in
             {"path": "annotations", "set_list": "setlist", "masks": "masks"}.items()}  # fmt: skip
    settings = {
        "out": str(folder / "out"),
        "reference": "GRCh37",
        "input": {"plink": str(regenie / "example_3chr.bed")},
        "genes": {"path": str(folder / "genes.bed")},
        "annotation": {"kind": "groups", "format": "regenie", "ids": str(ids), "max_frequency": 0.2, **files},
    }
    return build_config(EtlConfig, settings, "test")


def test_masks__of_regenie_s_own_definitions(regenie, genotypes, tmp_path, hail_session):
    config = annotation_config(regenie, tmp_path)
    masks = config.masks.resolved()
    assert [mask.name for mask in masks] == ["M1", "M2", "M3"]
    # Its variants as a cohort has them, and what the group file says of each.
    fields = [line.split() for line in (regenie / "example_3chr.bim").read_text().splitlines()]
    variants = [
        {"variant": place, "contig": row[0], "position": int(row[3]), "ref": "A", "alt": "C"}
        for place, row in enumerate(fields)
    ]
    genes = pd.DataFrame({"position": range(2), "gene_id": SETS, "symbol": [None, None]})
    frame = SparkSession.builder.getOrCreate().createDataFrame(pd.DataFrame(variants))
    out = str(tmp_path / "groups")
    _, warnings = join_groups(config.annotation.groups, genes, genome("GRCh37"), frame, out)
    assert [text.rpartition("masks: ")[2] for text in warnings[-2:]] == [
        f"mask {name}, which {regenie}/example_3chr.annotations gives to no variant"
        for name in ("M2 counts unknown1", "M3 counts unknown1, unknown2")
    ]
    annotator = GroupAnnotator(genes, PartRows(out))
    sites = [Site("1", 1, "A", "C", ["A", "C"], 1, None, row["variant"]) for row in variants]
    members = {
        row[1]: [(one.gene, one.variant_class, *one.terms) for one in annotator(site)]
        for row, site in zip(fields, sites, strict=True)
    }
    ours = our_masks(masks, genotypes, members, tmp_path)
    written, _, people = read_bed(regenie / "example_3chr_masks.bed")
    written = written[:, [people.index(person) for person in genotypes[2]]]
    assert np.array_equal(ours[:, 0, 0], written[0])
    assert np.array_equal(ours[:, 1, 1], written[1])
    assert not ours[:, 2].any()


def test_masks__sum_comphet_and_bins_as_in_regenie_s_source(genotypes, members, tmp_path, hail_session):
    counts, names, _ = genotypes
    rules = [
        ("sum", 0.2),
        ("comphet", 0.2),
        ("max", 0.2),
        ("sum", 0.01),
        ("comphet", 0.05),
        ("two_hits", 0.2),
    ]
    masks = [
        MaskConfig(name=f"m{place}", classes=M2, combine=rule, max_frequency=limit)
        for place, (rule, limit) in enumerate(rules)
    ]
    ours = our_masks(masks, genotypes, members, tmp_path)
    for gene, name in enumerate(SETS):
        of_set = np.array([any(place == gene for place, _ in members.get(one, [])) for one in names])
        assert of_set.any(), name
        for place, (rule, limit) in enumerate(rules):
            kept = counts[of_set & (counts.mean(axis=1) / 2 <= limit)]
            total, largest = kept.sum(axis=0), kept.max(axis=0, initial=0)
            wanted = {
                "sum": total,
                "comphet": np.where(total >= 2, 2, total),
                "max": largest,
                "two_hits": total >= 2,
            }
            assert np.array_equal(ours[:, place, gene], wanted[rule]), (name, rule, limit)
