"""What every format of calls offers: files, headers and their faults, parts for tasks, records of a part."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.config import InputConfig
from etl.genome import GenomeName
from etl.ingest.record import Record, RecordSettings


@dataclass(frozen=True, kw_only=True)
class CallsHeader:
    """What the head of one file says, whatever its format."""

    path: str
    samples: tuple[str, ...] | None
    """None where Hail alone can read them."""
    format_fields: tuple[str, ...]
    """Fields of calls, by their names in a VCF."""
    info_descriptions: Mapping[str, str] = field(default_factory=dict)
    contig_lengths: Mapping[str, int | None] = field(default_factory=dict)
    first_contig: str | None = None
    """Contig of the first record; None for a file without records."""
    references: tuple[str, ...] = ()
    """What it says of the reference genome."""
    first_info: str = ""
    """INFO of the first record; empty where the format has none, or it is not text."""


class CallsPart(Protocol):
    """Part of the calls that one task reads. It is sent to the task: no open files."""

    @property
    def number(self) -> int:
        """Of all parts of a run, in the order of files and positions."""

    @property
    def path(self) -> str:
        """The file, named in messages."""

    def records(self, settings: RecordSettings) -> Iterator[Record]:
        """All its records, in their order."""


@dataclass(frozen=True)
class Reference:
    """The reference genome that a run is configured for."""

    name: GenomeName
    fasta: str | None
    """Its sequence, where the configuration names one."""


class Source(ABC):
    """Calls in one format. Nothing but `prepared` may start or use Spark and Hail."""

    people_field: ClassVar[str]
    """Where a file names its people, for messages."""

    needs_hail: ClassVar[bool] = False
    """Whether `prepared` uses Hail."""

    def __init__(self, config: InputConfig) -> None:
        self.config = config

    @abstractmethod
    def paths(self) -> list[str]:
        """One path for each header, in the order in which they are read.

        Raises
        ------
        InputError
            If a path or glob matches nothing.
        """

    @abstractmethod
    def files(self) -> list[str]:
        """Files whose content tells whether the calls changed."""

    @abstractmethod
    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """Header of one file, and faults that do not keep it from being read.

        Raises
        ------
        InputError
            If there is no header to speak of.
        """

    @abstractmethod
    def parts(
        self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference
    ) -> Sequence[CallsPart]:
        """Cut the calls into about so many parts, within limits of size."""

    def prepared(
        self, folder: str, info_fields: Sequence[str], max_alleles: int
    ) -> AbstractContextManager[Source]:
        """The source that is cut into parts: itself, or another one that lies in `folder` meanwhile.

        Parameters
        ----------
        folder
            Of the step; what is made there is removed behind the block.
        info_fields
            Names of INFO fields that are kept.
        max_alleles
            Sites with more are not used; what grows with their alleles need not be kept.
        """
        return nullcontext(self)

    def size(self) -> int:
        """Bytes as stored."""
        return sum(file_size(path) for path in self.files())

    def inspect(self, reference: Reference) -> tuple[list[CallsHeader], list[str]]:
        """The headers that can be read, and every fault of every file.

        A fault is a path that matches nothing, an unreadable file, another build, other people or another
        order of them.
        """
        headers: list[CallsHeader] = []
        try:
            paths, faults = self.paths(), []
        except InputError as error:
            return [], error.faults
        for path in paths:
            try:
                header, found = self.read_header(path, reference)
            except InputError as error:
                faults += error.faults
                continue
            headers.append(header)
            faults += found + self._people_faults(header, headers[0])
        return headers, faults

    def _people_faults(self, header: CallsHeader, first: CallsHeader) -> list[str]:
        if header.samples is not None and not header.samples:
            wanted = "genotypes of at least one person"
            return [fault(header.path, self.people_field, found="no samples", wanted=wanted)]
        if header.samples == first.samples:
            return []
        found, wanted = "other samples, or another order", f"those of {first.path}"
        return [fault(header.path, self.people_field, found=found, wanted=wanted)]


def file_size(url: str) -> int:
    """Bytes of a file.

    Raises
    ------
    InputError
        If there is no such file.
    """
    filesystem, path = open_storage(url)
    try:
        return int(filesystem.size(path))
    except OSError as error:
        found = f"no readable file ({error.strerror or error})"
        raise InputError(fault(url, "input", found=found, wanted="a file")) from None


def find_paths(patterns: Sequence[str], key: str, wanted: str) -> list[str]:
    """The files that paths, URLs and globs name, each glob sorted, each file once where first named.

    Parameters
    ----------
    patterns
        As the configuration has them.
    key
        Of the configuration, for messages.
    wanted
        What a pattern should name, for messages.

    Raises
    ------
    InputError
        If a path or glob matches nothing.
    """
    found: dict[str, str] = {}
    faults = []
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            faults.append(fault(pattern, key, found="no such file", wanted=wanted))
        for match in matches:
            found.setdefault(_identity(match), match)
    if faults:
        raise InputError(faults)
    return list(found.values())


def _identity(url: str) -> str:
    """The same for all names of a file, links among them."""
    filesystem, path = open_storage(url)
    return str(filesystem.unstrip_protocol(os.path.realpath(path) if os.path.exists(path) else path))


def _matches(pattern: str) -> list[str]:
    """Files of a glob, in the way of writing that the pattern has: with a scheme or without."""
    filesystem, path = open_storage(pattern)
    if filesystem.exists(path):
        return [pattern]
    paths = sorted(str(match) for match in filesystem.glob(path))
    return [str(filesystem.unstrip_protocol(match)) for match in paths] if "://" in pattern else paths
