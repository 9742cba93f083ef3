"""A group file joined to the cohort's variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from contract.errors import InputError, fault
from contract.storage import hadoop_name, remove, replaced_whole
from etl.annotate.config import GroupFile
from etl.annotate.genes import GeneLookup
from etl.annotate.group_files import Member, read_mask_words, read_members
from etl.annotate.groups import word_class
from etl.annotate.variant_ids import VariantIds, read_ids
from etl.annotate.variant_join import write_joined
from etl.genome import Genome

ROWS_PER_GROUP = 100_000
SHOWN = 3

MEMBER_SCHEMA = pa.schema(
    [
        pa.field("contig", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("ref", pa.string()),
        pa.field("alt", pa.string()),
        pa.field("gene", pa.int32()),
        pa.field("word", pa.string()),
        pa.field("variant_class", pa.string()),
        pa.field("weight", pa.float64()),
    ]
)
"""A member of a gene of the axis, in the cohort's terms."""


@dataclass
class GroupCounts:
    """What was read of a group file, and what became of it."""

    counts: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    shown: dict[str, list[str]] = field(default_factory=dict)
    """The first ids and genes of each kind of those that were not used."""

    def leave_out(self, reason: str, name: str) -> None:
        """Count what is not used."""
        self.counts[reason] += 1
        shown = self.shown.setdefault(reason, [])
        if len(shown) < SHOWN and name not in shown:
            shown.append(name)


UNREADABLE_ID, OTHER_GENE = "ids_without_position_and_alleles", "members_of_genes_outside_the_axis"


def join_groups(
    config: GroupFile, genes: pd.DataFrame, reference: Genome, variants: DataFrame, out: str
) -> tuple[dict[str, int], list[str]]:
    """Write the group file's rows of the cohort's variants by part, for `etl.annotate.groups.GroupAnnotator`.

    Parameters
    ----------
    config
        The file.
    genes
        The gene axis.
    reference
        The genome of the cohort.
    variants
        See `etl.annotate.variant_join.passing_variants`.
    out
        Folder to write.

    Returns
    -------
    tuple
        Counts for the facts of the step, and sentences that a reader must know.

    Raises
    ------
    InputError
        If the file can't be read, or names no gene of the axis or no variant of the cohort.
    """
    told = GroupCounts()
    members = f"{out}.members.parquet"
    with (
        replaced_whole(members) as path,
        pq.ParquetWriter(path, MEMBER_SCHEMA, compression="zstd") as writer,
    ):
        for batch in _batches(config, genes, reference, told):
            writer.write_batch(batch)
    if not told.counts["members"]:
        raise InputError(_no_members(config, genes, told))
    table = SparkSession.builder.getOrCreate().read.parquet(hadoop_name(members))
    matches = write_joined(table, variants, out, dict.fromkeys(("gene", "word", "variant_class", "weight")))
    if not matches.joined:
        rows = [row.asDict() for row in table.limit(SHOWN).collect()]
        ids = ", ".join(f"{row['contig']}:{row['position']}:{row['ref']}:{row['alt']}" for row in rows)
        found = f"0 of {told.counts['ids']} ids of variants that passed, such as {ids}"
        raise InputError(fault(config.path, "variants", found=found, wanted="some of the cohort's"))
    remove(members)
    counts = dict(sorted(told.counts.items())) | {"variants_in_groups": matches.joined}
    return counts, [*_warnings(config, told), *_mask_warnings(config, told)]


def _batches(
    config: GroupFile, genes: pd.DataFrame, reference: Genome, told: GroupCounts
) -> Iterator[pa.RecordBatch]:
    """Members in the cohort's terms, in batches of bounded size."""
    lookup = GeneLookup(genes)
    ids = VariantIds(reference, read_ids(config.ids, reference) if config.ids else None)
    rows: list[tuple[object, ...]] = []
    for member in read_members(config):
        told.counts["ids"] += 1
        told.words.update([member.word] if member.word else [])
        rows += _rows(member, lookup, ids, config, told)
        if len(rows) >= ROWS_PER_GROUP:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _rows(
    member: Member, lookup: GeneLookup, ids: VariantIds, config: GroupFile, told: GroupCounts
) -> list[tuple[object, ...]]:
    gene = lookup(member.gene, member.gene)
    if gene is None:
        told.leave_out(OTHER_GENE, member.gene)
        return []
    keys = ids(member.variant)
    if not keys:
        told.leave_out(UNREADABLE_ID, member.variant)
        return []
    told.counts["members"] += 1
    name = word_class(member.word, config.classes)
    return [(*key, gene, member.word, name, member.weight) for key in keys]


def _batch(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = [
        pa.array(list(column), field.type)
        for column, field in zip(zip(*rows, strict=True), MEMBER_SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=MEMBER_SCHEMA)


def _no_members(config: GroupFile, genes: pd.DataFrame, told: GroupCounts) -> str:
    n_ids, n_unread = told.counts["ids"], told.counts[UNREADABLE_ID]
    if n_unread:
        names = ", ".join(told.shown[UNREADABLE_ID])
        wanted = "CHR:POS:REF:ALT, or annotation.ids: a .bim or .pvar file that has them"
        return fault(
            config.path, "variants", found=f"0 of {n_ids} ids readable, such as {names}", wanted=wanted
        )
    names = ", ".join(told.shown.get(OTHER_GENE, [])) or "none"
    wanted = f"some of the {len(genes)} genes of the axis, such as '{genes['gene_id'].iloc[0]}'"
    return fault(
        config.path, "genes", found=f"none of the axis in {n_ids} members, but {names}", wanted=wanted
    )


def _warnings(config: GroupFile, told: GroupCounts) -> list[str]:
    """Sentences on what was left out."""
    words = {UNREADABLE_ID: "have no position and alleles", OTHER_GENE: "are of genes outside the axis"}
    return [
        f"{config.path}: {told.counts[reason]} of {told.counts['ids']} members {text}, such as "
        f"{', '.join(told.shown[reason])}: they are not used"
        for reason, text in words.items()
        if told.counts[reason]
    ]


def _mask_warnings(config: GroupFile, told: GroupCounts) -> list[str]:
    """Sentences on annotations that a mask definition names and no variant has."""
    if config.masks is None:
        return []
    absent = {
        name: [word for word in words if word not in told.words]
        for name, words in read_mask_words(config.masks).items()
    }
    return [
        f"{config.masks}: mask {name} counts {', '.join(words)}, which {config.path} gives to no variant"
        for name, words in absent.items()
        if words
    ]
