"""Group files of regenie, SAIGE and EPACTS: which variants a gene has, what they are called and weigh.

Formats: regenie's documentation ("Annotation input files"), SAIGE-GENE+'s ("group file"), EPACTS'
("groupwise test"). Lines are taken one by one: files may have tens of millions of variants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from contract.errors import InputError, fault
from contract.storage import open_text
from etl.annotate.config import GroupFile
from etl.annotate.gene_files import PACKINGS, UNREADABLE

UNNAMED = "NULL"
"""What regenie calls variants of a set that its annotation does not have."""


class Member(NamedTuple):
    """A variant in a gene."""

    gene: str
    variant: str
    """Its id, as it is written."""
    word: str | None
    """What the file calls it; None in EPACTS' files, which call it nothing."""
    weight: float


def read_members(config: GroupFile) -> Iterator[Member]:
    """Members of all groups, in the order of the file.

    Raises
    ------
    InputError
        If the file is absent or unreadable, or a line is none of its format.
    """
    if config.format == "regenie":
        yield from _regenie(config)
    elif config.format == "saige":
        yield from _saige(config.path)
    else:
        yield from _epacts(config.path)


def read_mask_words(path: str) -> dict[str, list[str]]:
    """Masks of a mask definition of regenie, and the annotations that each counts.

    Raises
    ------
    InputError
        If the file can't be read, a line has no annotations, or a mask stands in it twice.
    """
    masks: dict[str, list[str]] = {}
    for number, line in _lines(path):
        name, *words = line.replace(",", " ").split()
        if name in masks:
            raise InputError(
                fault(path, f"line {number}", found=f"mask {name} again", wanted="each mask once")
            )
        if not words:
            raise InputError(
                fault(path, f"line {number}", found=f"mask {name} alone", wanted="a name and annotations")
            )
        masks[name] = words
    return masks


def _regenie(config: GroupFile) -> Iterator[Member]:
    if config.set_list is None:
        for variant, gene, word in _annotations(config.path):
            yield Member(gene, variant, word, math.nan)
        return
    words: dict[tuple[str, str], str] = {}
    for variant, gene, word in _annotations(config.path):
        words[gene, variant] = word
    for number, line in _lines(config.set_list):
        fields = line.replace(",", " ").split()
        if len(fields) < 4:
            wanted = "set, contig, position and variants"
            raise InputError(
                fault(config.set_list, f"line {number}", found=f"{len(fields)} columns", wanted=wanted)
            )
        gene, _, _, *variants = fields
        for variant in variants:
            yield Member(gene, variant, words.get((gene, variant), UNNAMED), math.nan)


def _annotations(path: str) -> Iterator[tuple[str, str, str]]:
    """Variant, gene, word; with four columns the third is a domain of the gene, which is not used."""
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) not in (3, 4):
            wanted = "variant, gene and annotation"
            raise InputError(fault(path, f"line {number}", found=f"{len(fields)} columns", wanted=wanted))
        yield fields[0], fields[1], fields[-1]


def _saige(path: str) -> Iterator[Member]:
    """Lines `gene var …`, `gene anno …` and perhaps `gene weight …`, those of a gene one behind the other."""
    rows: dict[str, list[str]] = {}
    held = ""
    for number, line in _lines(path):
        fields = line.split()
        gene, kind = fields[0], fields[1].partition(":")[0] if len(fields) > 1 else ""
        if kind not in ("var", "anno", "weight"):
            wanted = "a gene, then var, anno or weight"
            raise InputError(
                fault(path, f"line {number}", found=f"'{' '.join(fields[:2])[:40]}'", wanted=wanted)
            )
        if gene != held:
            yield from _saige_gene(path, held, rows)
            held, rows = gene, {}
        # Several lines of weights may follow: the first counts, as SAIGE takes one set by default.
        rows.setdefault(kind, fields[2:])
    yield from _saige_gene(path, held, rows)


def _saige_gene(path: str, gene: str, rows: dict[str, list[str]]) -> Iterator[Member]:
    if not rows:
        return
    variants = rows.get("var", [])
    for kind in ("anno", "weight"):
        if kind in rows and len(rows[kind]) != len(variants):
            found, wanted = f"{len(rows[kind])} in {kind}", f"{len(variants)}, one for each of its variants"
            raise InputError(fault(path, f"gene {gene}", found=found, wanted=wanted))
    if "anno" not in rows:
        raise InputError(fault(path, f"gene {gene}", found="no line anno", wanted="lines var and anno"))
    weights = [_number(path, gene, text) for text in rows.get("weight", ["nan"] * len(variants))]
    for variant, word, weight in zip(variants, rows["anno"], weights, strict=True):
        yield Member(gene, variant, word, weight)


def _number(path: str, gene: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            fault(path, f"gene {gene}", found=f"weight '{text[:20]}'", wanted="a number")
        ) from None


def _epacts(path: str) -> Iterator[Member]:
    for _, line in _lines(path):
        gene, *variants = line.split()
        for variant in variants:
            yield Member(gene, variant, None, math.nan)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    compression = "gzip" if path.endswith(PACKINGS) else "infer"
    try:
        with open_text(path, compression=compression) as lines:
            for number, line in zip(count(1), lines, strict=False):
                if line.strip():
                    yield number, line
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            fault(path, "annotation", found=f"no readable file ({reason})", wanted="a group file")
        ) from None
