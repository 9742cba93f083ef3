"""A Hail MatrixTable: Hail writes it as a VCF in shards, which is then read as any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from contract.storage import hadoop_name, join, open_storage, remove
from etl.config import InputConfig
from etl.ingest.source import CallsHeader, CallsPart, Reference, Source
from etl.ingest.sources.hail_tables import (
    EXPORTED_NUMBERS,
    METADATA,
    TableType,
    export_shards,
    read_table_type,
    type_faults,
)
from etl.ingest.sources.vcf import VcfSource

if TYPE_CHECKING:
    import hail as hl

SHARDS = "shards"


class HailSource(Source):
    """What MatrixTables and VDS have in common."""

    people_field: ClassVar[str] = "column key"
    needs_hail: ClassVar[bool] = True

    def paths(self) -> list[str]:
        """The folder."""
        return self.config.paths

    def files(self) -> list[str]:
        """Metadata of its tables: Hail writes them anew, with new names of parts, whenever it writes."""
        return [f"{self.config.paths[0]}/{name}" for name in self.metadata]

    metadata: ClassVar[tuple[str, ...]] = (METADATA, f"rows/rows/{METADATA}", f"cols/rows/{METADATA}")
    """Paths in the folder."""

    def size(self) -> int:
        """Bytes of the folder."""
        filesystem, path = open_storage(self.config.paths[0])
        return int(filesystem.du(path))

    def parts(
        self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference
    ) -> Sequence[CallsPart]:
        """None: they are those of the VCF that it is prepared as."""
        raise NotImplementedError

    def table(self, path: str, max_alleles: int) -> hl.MatrixTable:
        """The calls with GT and other fields as in a VCF; likelihoods of up to so many alleles."""
        raise NotImplementedError

    @contextmanager
    def prepared(self, folder: str, info_fields: Sequence[str], max_alleles: int) -> Iterator[Source]:
        """The same calls as a VCF in shards, which are removed behind the block."""
        shards = join(folder, SHARDS)
        try:
            table = self.table(hadoop_name(self.config.paths[0]), max_alleles)
            export_shards(table, info_fields, shards)
            yield VcfSource(InputConfig(vcf=[f"{shards}.bgz/part-*.bgz"]))
        finally:
            remove(f"{shards}.bgz")


class MatrixTableSource(HailSource):
    """A MatrixTable keyed by locus and alleles, split or not."""

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """Types of its rows and entries."""
        table = read_table_type(path, "input.matrix_table")
        faults = type_faults(path, table, reference.name, ("GT",))
        fields = ("GT", *(name for name in EXPORTED_NUMBERS if name in table.entry))
        return hail_header(path, table, fields), faults

    def table(self, path: str, max_alleles: int) -> hl.MatrixTable:
        """As it is."""
        import hail as hl

        return hl.read_matrix_table(path)


def hail_header(path: str, table: TableType, fields: tuple[str, ...]) -> CallsHeader:
    """The header of a folder, whose people Hail alone can read."""
    return CallsHeader(
        path=path,
        samples=None,
        format_fields=fields,
        # A MatrixTable does not keep the descriptions that a VCF's header has.
        info_descriptions=dict.fromkeys(table.info, ""),
        first_contig="unknown" if table.n_rows else None,
    )
