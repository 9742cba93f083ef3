"""Step 6 on variants of a few lines, in Spark: score tables, group files, references between records."""

import gzip
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.cohort.schema import COHORT_SCHEMA
from etl.config import EtlConfig
from etl.ingest.alleles import minimal_representation
from etl.qc.variants import VARIANT_SCHEMA
from etl.steps import annotation
from etl.steps.base import Run
from etl.workspace import StepResult, Workspace
from tests.etl.mini import HEADER, MiniInputs, vcf_text

pytestmark = pytest.mark.usefixtures("hail_session")

SNVS = [("chr1", 1100 + 10 * place, "ACGT"[place % 4], "CGTA"[place % 4]) for place in range(40)]


class Cohort:
    """Outputs of the steps before, written by hand."""

    def __init__(self, mini: MiniInputs, folder: Path) -> None:
        self.mini, self.folder = mini, folder
        self.rows: list[dict[str, Any]] = []
        self.entries = ["{alt}|stop_gained|ENSG1|ONE|protein_coding|HC||"]

    def add(self, contig: str, position: int, ref: str, alt: str, part: int = 0, **more: Any) -> None:
        minimal = minimal_representation(position, ref, alt)
        row = {
            "variant": (part << 32) | sum(row["variant"] >> 32 == part for row in self.rows),
            "contig": contig, "position": minimal[0], "ref": minimal[1], "alt": minimal[2],
            "old_position": position, "old_alleles": [ref, alt], "a_index": 1, "passes": True,
            "annotation": [text.format(alt=alt) for text in self.entries],
            "allele_count": 1, "allele_number": 8,
        }  # fmt: skip
        self.rows.append(row | more)

    def annotate(self, **settings: Any) -> tuple[pd.DataFrame, StepResult]:
        self.mini.settings["annotation"] = settings
        config = build_config(EtlConfig, self.mini.settings, "test")
        work = self.folder / "steps"
        for name, schema in (
            ("05_variant_qc/variants.parquet", VARIANT_SCHEMA),
            ("01_ingest/cohort", COHORT_SCHEMA),
        ):
            (work / name).mkdir(parents=True)
            for part in {row["variant"] >> 32 for row in self.rows}:
                rows = [row for row in self.rows if row["variant"] >> 32 == part]
                table = pa.Table.from_pylist(rows, schema=schema)
                pq.write_table(table, work / name / f"part-{part:05}.parquet")
        out = work / "06_annotation"
        out.mkdir()
        result = annotation.work(Run(config, config.resolved_profile(), Workspace(str(work)), out))
        return pd.read_parquet(out / "annotated.parquet").sort_values("variant", ignore_index=True), result


@pytest.fixture
def cohort(mini: MiniInputs, tmp_path: Path) -> Cohort:
    return Cohort(mini, tmp_path)


def write_scores(path: Path, rows: list[tuple], header: str = "contig\tposition\tref\talt\tscore") -> str:
    separator = "," if ".csv" in path.name else "\t"
    text = (
        "\n".join([header.replace("\t", separator), *(separator.join(map(str, row)) for row in rows)]) + "\n"
    )
    if path.suffix == ".parquet":
        names = header.split("\t")
        pd.DataFrame(rows, columns=names).to_parquet(path)
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def scores_of(table: pd.DataFrame) -> list[list[float]]:
    return [list(one["scores"][-1:]) for row in table["consequences"] for one in row]


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.csv", "a.parquet"])
def test_work__scores_of_a_table(cohort: Cohort, name: str, tmp_path: Path):
    for place, snv in enumerate(SNVS):
        cohort.add(*snv, part=place % 2)
    cohort.add("chr1", 1900, "GAT", "GA", part=1)
    rows = [("1", position, ref, alt, place / 10) for place, (_, position, ref, alt) in enumerate(SNVS[:30])]
    # Alleles in any representation.
    rows += [("1", 1100, "AG", "CG", 99.5), ("1", 1110, "C", "T", 1), ("chr1", 1900, "GATT", "GAT", 7.25)]
    path = write_scores(tmp_path / name, rows)
    table, result = cohort.annotate(kind="csq", scores={"path": path, "columns": {"mine": "score"}})
    by_place = dict(zip(table["position"], scores_of(table), strict=True))
    # Of several rows of one variant the largest; rows of another allele are none.
    assert by_place[1100] == [99.5]
    assert by_place[1110] == [0.1]
    assert by_place[1901] == [7.25]
    assert math.isnan(by_place[1100 + 10 * 35][0])
    assert result.facts["scores"] == ["polyphen", "sift", "mine"]
    assert result.facts["variants_scored"] == 31
    first = table["consequences"][0][0]
    assert [math.isnan(value) for value in first["scores"]] == [True, True, False]
    assert not list((tmp_path / "steps/06_annotation").glob("scores*"))


def test_work__columns_as_cadd_writes_them(cohort: Cohort, tmp_path: Path):
    for snv in SNVS:
        cohort.add(*snv)
    rows = [("1", position, ref, alt, 0.5, 20) for _, position, ref, alt in SNVS]
    path = tmp_path / "cadd.tsv.gz"
    write_scores(path, rows, "## CADD v1.6\n#Chrom\tPos\tRef\tAlt\tRawScore\tPHRED")
    columns = {"contig": "#Chrom", "position": "Pos", "ref": "Ref", "alt": "Alt"}
    settings = {"path": str(path), "columns": {"cadd": "PHRED"}, **columns}
    table, result = cohort.annotate(kind="csq", scores=settings)
    assert set(map(tuple, scores_of(table))) == {(20.0,)}
    assert result.facts["scores"] == ["polyphen", "sift", "cadd"]


def test_work__scores_of_another_build(cohort: Cohort, tmp_path: Path):
    for snv in SNVS:
        cohort.add(*snv)
    other = {"A": "G", "C": "A", "G": "T", "T": "C"}
    rows = [("1", position, other[ref], ref, 1) for _, position, ref, _ in SNVS]
    path = write_scores(tmp_path / "a.tsv", rows)
    message = (
        "found the variants' reference base at 0 of 40 positions that both have: a table of another build"
    )
    with pytest.raises(InputError, match=message):
        cohort.annotate(kind="csq", scores={"path": path, "columns": ["score"]})


def test_work__scores_beyond_the_contig(cohort: Cohort, tmp_path: Path):
    cohort.add(*SNVS[0])
    path = write_scores(tmp_path / "a.tsv", [("1", 1100, "A", "C", 1), ("1", 249_000_000, "A", "C", 1)])
    with pytest.raises(
        InputError, match="found chr1:249000000, beyond the end of the contig, wanted positions"
    ):
        cohort.annotate(kind="csq", scores={"path": path, "columns": ["score"]})


def test_work__scores_of_no_variant(cohort: Cohort, tmp_path: Path):
    cohort.add(*SNVS[0])
    path = write_scores(tmp_path / "a.tsv", [("1", 5, "A", "C", 1), ("1", 6, "A", "C", 1)])
    with pytest.raises(
        InputError, match=r"none of 1 variants \(0 share a position; .*chr1:5:A:C, chr1:6:A:C"
    ):
        cohort.annotate(kind="csq", scores={"path": path, "columns": ["score"]})


def test_work__scores_of_a_hail_table(cohort: Cohort, tmp_path: Path):
    hl = pytest.importorskip("hail")
    for snv in SNVS:
        cohort.add(*snv)
    rows = [hl.Struct(locus=hl.Locus("chr1", 1100, "GRCh38"), alleles=["A", "C"], score=0.5)]
    path = str(tmp_path / "scores.ht")
    row = "struct{locus: locus<GRCh38>, alleles: array<str>, score: float64}"
    hl.Table.parallelize(rows, row, key=["locus", "alleles"]).write(path)
    table, _ = cohort.annotate(kind="csq", scores={"path": path, "columns": {"mine": "score"}})
    assert scores_of(table)[0] == [0.5]
    assert math.isnan(scores_of(table)[1][0])


def test_work__group_file(cohort: Cohort, tmp_path: Path):
    for place, snv in enumerate(SNVS[:4]):
        cohort.add(*snv, part=place % 2, annotation=None)
    path = tmp_path / "groups.txt"
    path.write_text(
        "ENSG1 var chr1:1100:A:C 1:1110_C/G rs9 1:1120:G:T\nENSG1 anno lof missense lof mine\n"
        "ENSG1 weight 1.5 2 1 0.5\nELSEWHERE var 1:1100:A:C\nELSEWHERE anno lof\n"
    )
    table, result = cohort.annotate(kind="groups", format="saige", path=str(path))
    found = {
        position: [
            (one["gene"], one["variant_class"], one["consequence"], list(one["terms"]), one["weight"])
            for one in row
        ]
        for position, row in zip(table["position"], table["consequences"], strict=True)
    }
    assert found == {
        1100: [(0, "plof", "lof", ["lof"], 1.5)],
        1110: [(0, "other_missense", "missense", ["missense"], 2.0)],
        1120: [(0, "mine", "mine", ["mine"], 0.5)],
        1130: [],
    }
    assert result.facts["groups"] == {
        "ids": 5, "ids_without_position_and_alleles": 1, "members": 3,
        "members_of_genes_outside_the_axis": 1, "variants_in_groups": 3,
    }  # fmt: skip
    assert result.warnings == [
        f"{path}: 1 of 5 members have no position and alleles, such as rs9: they are not used",
        f"{path}: 1 of 5 members are of genes outside the axis, such as ELSEWHERE: they are not used",
    ]
    assert result.facts["classes"] == {
        "mine": 1, "other_missense": 1, "plof": 1, "in no gene": 1, "not annotated": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ENSG1 rs1 rs2 rs3 rs4\n",
            r"variants: found 0 of 4 ids readable, such as rs1, rs2, rs3, wanted CHR:POS",
        ),
        (
            "X 1:1100_A/C\nY 1:1100_A/C\n",
            r"genes: found none of the axis in 2 members, but X, Y, wanted some",
        ),
        (
            "ENSG1 1:5_A/C 1:6_A/C 1:7_A/C 1:8_A/C\n",
            r"variants: found 0 of 4 ids of variants that passed, such as chr1:5:A:C, chr1:6:A:C, chr1:7:A:C",
        ),
    ],
)
def test_work__group_file_that_matches_nothing(cohort: Cohort, text: str, message: str, tmp_path: Path):
    cohort.add(*SNVS[0])
    path = tmp_path / "groups.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        cohort.annotate(kind="groups", format="epacts", path=str(path))


def test_work__group_file_of_regenie_with_ids_of_a_bim_and_masks(cohort: Cohort, tmp_path: Path):
    cohort.add(*SNVS[0])
    for name, text in {
        "anno": "mog_1 ENSG1 pLof\nmog_2 ENSG1 missense\n",
        "sets": "ENSG1 1 1 mog_1,mog_2\n",
        "masks": "M1 pLof\nM2 pLof,unknown1\n",
        "ids.bim": "1 mog_1 0 1100 C A\n1 mog_2 0 7 A C\n",
    }.items():
        (tmp_path / name).write_text(text)
    paths = {name: str(tmp_path / file) for name, file in
             {"path": "anno", "set_list": "sets", "masks": "masks", "ids": "ids.bim"}.items()}  # fmt: skip
    table, result = cohort.annotate(kind="groups", format="regenie", **paths)
    assert [one["variant_class"] for one in table["consequences"][0]] == ["plof"]
    assert result.warnings == [
        f"{tmp_path}/masks: mask M2 counts unknown1, which {tmp_path}/anno gives to no variant"
    ]


def test_work__references_of_bcsq_across_parts(cohort: Cohort):
    header = HEADER.replace("ID=CSQ", "ID=BCSQ").split("Format: ")[0]
    names = "Consequence|gene|transcript|biotype|strand|amino_acid_change|dna_change"
    contigs = HEADER.splitlines()[-1]
    cohort.mini.write_vcf(vcf_text(f'{header}Format: {names}">\n{contigs}\n', records=None))
    change = "missense|ONE|ENST1|protein_coding|+|3R>3Q|1107G>A+1108T>A"
    cohort.add("chr1", 1107, "G", "A", annotation=[change], passes=False)
    cohort.add("chr1", 1108, "T", "A", part=1, annotation=["@1107"])
    cohort.add("chr1", 1200, "T", "A", part=1, annotation=["@1190"])
    cohort.add("chr1", 1300, "T", "A", part=1, annotation=["new_thing|ONE|ENST1|protein_coding"])
    table, result = cohort.annotate(kind="bcsq")
    assert [[one["consequence"] for one in row] for row in table["consequences"]] == [
        ["missense_variant"], [], ["new_thing"],
    ]  # fmt: skip
    assert result.facts["unknown_terms"] == {"new_thing": 1}
    assert result.warnings == [
        "annotation: 1 entries that refer to a record which is not in the file",
        "annotation: 1 terms have no known severity and rank last, class other (variants): new_thing (1)",
    ]
