"""What Hail's folders say of themselves without Hail, and the VCF in shards as which Hail hands calls on."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.errors import InputError, fault
from contract.storage import hadoop_name, open_storage
from etl.genome import GenomeName

if TYPE_CHECKING:
    import hail as hl

METADATA = "metadata.json.gz"
EXPORTED_NUMBERS = ("AD", "DP", "GQ", "PL")


@dataclass(frozen=True)
class TableType:
    """Fields of a MatrixTable: name -> type, as its metadata writes them."""

    row: dict[str, str]
    entry: dict[str, str]
    n_rows: int

    @property
    def info(self) -> dict[str, str]:
        """Fields of the row's `info`."""
        told = self.row.get("info", "")
        return _fields(told.removeprefix("Struct")) if told.startswith("Struct{") else {}

    @property
    def genome(self) -> str | None:
        """Reference genome of the loci; None where rows have none."""
        found = re.fullmatch(r"Locus\((.+)\)", self.row.get("locus", ""))
        return found.group(1) if found else None


def read_table_type(url: str, key: str) -> TableType:
    """Type of a MatrixTable, from its metadata.

    Raises
    ------
    InputError
        If the folder is no finished MatrixTable.
    """
    filesystem, path = open_storage(url)
    wanted = "a folder that Hail finished writing"
    for name in (METADATA, "_SUCCESS"):
        if not filesystem.exists(f"{path}/{name}"):
            raise InputError(fault(url, key, found=f"no {name} in it", wanted=wanted))
    try:
        with filesystem.open(f"{path}/{METADATA}", "rb") as stream:
            metadata = json.loads(gzip.decompress(stream.read()))
        fields = _fields(str(metadata["matrix_type"]).removeprefix("Matrix"))
        counts = metadata["components"]["partition_counts"]["counts"]
        row, entry = (_fields(fields[name].removeprefix("Struct")) for name in ("row", "entry"))
    except (KeyError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        found = f"metadata of no MatrixTable ({type(error).__name__})"
        raise InputError(fault(url, key, found=found, wanted=wanted)) from None
    return TableType(row, entry, sum(counts))


def type_faults(url: str, table: TableType, reference: GenomeName, calls: tuple[str, ...]) -> list[str]:
    """Faults of a MatrixTable that is keyed otherwise, of another build, or without calls."""
    faults = []
    if table.genome is None or table.row.get("alleles") != "Array[String]":
        found = ", ".join(f"{name}: {kind}"[:60] for name, kind in list(table.row.items())[:4])
        wanted = "rows keyed by locus and alleles"
        faults.append(fault(url, "row fields", found=found, wanted=wanted))
    elif table.genome != reference:
        faults.append(fault(url, "locus", found=table.genome, wanted=reference))
    if not any(table.entry.get(name) == "Call" for name in calls):
        found = ", ".join(table.entry) or "none"
        faults.append(fault(url, "entry fields", found=found, wanted=f"{' or '.join(calls)}, of type call"))
    return faults


def export_shards(table: hl.MatrixTable, info_fields: Sequence[str], folder: str) -> None:
    """Write calls, filters and the annotation as a VCF in bgzipped shards, each with a header.

    Parameters
    ----------
    table
        Keyed by locus and alleles, with GT and any of `EXPORTED_NUMBERS`.
    info_fields
        Fields of `info` that are kept, where there are such.
    folder
        That does not exist yet.
    """
    import hail as hl

    table = table.select_entries(*[name for name in ("GT", *EXPORTED_NUMBERS) if name in table.entry])
    if list(table.row_key) != ["locus", "alleles"]:
        table = table.key_rows_by("locus", "alleles")
    has_filters = "filters" in table.row and table.filters.dtype == hl.tset(hl.tstr)
    present = [name for name in info_fields if "info" in table.row and name in table.info.dtype]
    info = {"info": table.info.select(*present)} if present else {}
    table = table.select_rows(*(["filters"] if has_filters else []), **info).select_globals()
    # Column keys of other names, or other column fields, would be refused or written.
    key = next(iter(table.col_key))
    table = table.key_cols_by(s=hl.str(table[key])).select_cols()
    hl.export_vcf(table, f"{hadoop_name(folder)}.bgz", parallel="header_per_shard")


def _fields(text: str) -> dict[str, str]:
    """Names and types of '{name:Type,…}'; types may hold braces, brackets and parentheses themselves."""
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError("no struct")
    fields, depth, start = {}, 0, 1
    quoted = False
    for place, letter in enumerate(text):
        if letter == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "{[(":
            depth += 1
        elif letter in "}])":
            depth -= 1
        if (letter == "," and depth == 1) or depth == 0:
            name, _, kind = text[start:place].partition(":")
            if name:
                fields[name.strip("`")] = kind
            start = place + 1
    return fields
