"""Variant ids of group files: contig, position and alleles, or what a .bim or .pvar file says they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from contract.errors import InputError, fault
from contract.storage import open_text
from etl.annotate.gene_files import PACKINGS, UNREADABLE, bare_contig
from etl.genome import Genome
from etl.ingest.alleles import minimal_representation

_ID = re.compile(
    r"(?P<contig>(?:chr)?[0-9A-Za-z.]+)[:_-](?P<position>\d+)[:_-](?P<ref>[A-Za-z]+)[:_/-](?P<alt>[A-Za-z]+)"
)
"""chr1:100:A:T, 1_100_A_T, 1-100-A-T; EPACTS and SAIGE also write 1:100_A/T."""


class Key(NamedTuple):
    """A variant in the cohort's terms: minimal representation, contigs named as in the reference."""

    contig: str
    position: int
    ref: str
    alt: str


class VariantIds:
    """Turns ids into keys.

    Parameters
    ----------
    reference
        The genome whose style of contig names is wanted.
    known
        Ids -> keys, see `read_ids`; where it is given, other ids are looked at by their own text.
    """

    def __init__(self, reference: Genome, known: Mapping[str, tuple[Key, ...]] | None = None) -> None:
        self._reference = reference
        self._known = known or {}

    def __call__(self, name: str) -> tuple[Key, ...]:
        """Keys that an id may mean, none where that can't be told: rs numbers and the like."""
        if name in self._known:
            return self._known[name]
        match = _ID.fullmatch(name)
        if match is None:
            return ()
        return (
            normal_key(self._reference, match["contig"], int(match["position"]), match["ref"], match["alt"]),
        )


def normal_key(reference: Genome, contig: str, position: int, ref: str, alt: str) -> Key:
    """A key in the cohort's terms."""
    bare = {"23": "X", "24": "Y", "25": "X", "26": "MT", "XY": "X"}.get(contig, bare_contig(contig))
    return Key(reference.contig(bare), *minimal_representation(position, ref.upper(), alt.upper()))


def read_ids(path: str, reference: Genome) -> dict[str, tuple[Key, ...]]:
    """Ids of a .bim or .pvar file. A .bim file does not say which allele is the reference: both ways count.

    Raises
    ------
    InputError
        If the file can't be read or a line is none of its format.
    """
    is_bim = path.lower().removesuffix(".gz").endswith(".bim")
    compression = "gzip" if path.endswith(PACKINGS) else "infer"
    known: dict[str, tuple[Key, ...]] = {}
    try:
        with open_text(path, compression=compression) as lines:
            for number, line in enumerate(lines, 1):
                fields = line.split()
                if not fields or line.startswith("#"):
                    continue
                if len(fields) < (6 if is_bim else 5) or not fields[3 if is_bim else 1].isdigit():
                    raise InputError(
                        fault(
                            path,
                            f"line {number}",
                            found=f"{len(fields)} columns",
                            wanted="a line of a .bim or .pvar file",
                        )
                    )
                name, keys = _bim(fields, reference) if is_bim else _pvar(fields, reference)
                known[name] = keys
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            fault(path, "annotation.ids", found=f"no readable file ({reason})", wanted="a .bim or .pvar file")
        ) from None
    return known


def _bim(fields: list[str], reference: Genome) -> tuple[str, tuple[Key, ...]]:
    contig, name, _, position, first, second = fields[:6]
    return name, (
        normal_key(reference, contig, int(position), second, first),
        normal_key(reference, contig, int(position), first, second),
    )


def _pvar(fields: list[str], reference: Genome) -> tuple[str, tuple[Key, ...]]:
    contig, position, name, ref, alts = fields[:5]
    return name, tuple(normal_key(reference, contig, int(position), ref, alt) for alt in alts.split(","))
