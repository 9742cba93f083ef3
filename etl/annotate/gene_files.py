"""Lines of gene files, GTF, GFF3 and BED: genes, and the parts that they have. Imports no Hail."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from contract.errors import InputError, fault
from contract.storage import open_text

UNREADABLE = (OSError, ValueError, EOFError, zlib.error)
"""What empty, binary, ragged, truncated and damaged files raise, compressed or not."""

PACKINGS = (".gz", ".bgz")

_GTF_ATTRIBUTE = re.compile(r'(\w+) "?([^";]*)"?')
_ID_PREFIX = re.compile(r"^(gene|transcript|rna)[:-]")
_REFSEQ = re.compile(r"^NC_0000(\d\d)\.\d+$")
_ENSEMBL = re.compile(r"^ENS[A-Z]*G\d")

GENE_TYPES = ("gene", "ncRNA_gene", "pseudogene")
"""Types of lines that are genes; Ensembl's GFF3 has the last two."""


class Line(NamedTuple):
    """A line of a gene file; the first and last base are 1-based, as text."""

    gene_id: str
    symbol: str | None
    contig: str
    start: str
    end: str
    feature: str
    """Type of the line, 'gene' for any of GENE_TYPES; '' in a BED file, which has no types."""
    biotype: str | None


def gene_file_format(path: str) -> str:
    """gtf, gff3 or bed, by the name of the file."""
    stem = path.lower()
    for packing in PACKINGS:
        stem = stem.removesuffix(packing)
    if stem.endswith(".bed"):
        return "bed"
    return "gff3" if stem.endswith((".gff", ".gff3")) else "gtf"


def gene_lines(path: str, features: tuple[str, ...]) -> Iterator[Line]:
    """Lines of a gene file that are of these features; all lines of a BED file.

    Raises
    ------
    InputError
        If the file is absent or unreadable, or a line has no gene.
    """
    kind = gene_file_format(path)
    compression = "gzip" if path.endswith(PACKINGS) else "infer"
    try:
        with open_text(path, compression=compression) as lines:
            rows = (line.rstrip("\r\n").split("\t") for line in lines if not line.startswith("#"))
            if kind == "bed":
                yield from _bed(path, rows)
            else:
                whole = (row for row in rows if len(row) == 9)
                yield from _gff3(path, whole, features) if kind == "gff3" else _gtf(path, whole, features)
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            fault(
                path, "genes", found=f"no readable file ({reason})", wanted="a GTF, GFF3, BED or gene table"
            )
        ) from None


def bare_contig(contig: str) -> str:
    """Chromosome without 'chr' ('1' … 'X', 'Y', 'MT'), also for RefSeq's names; other contigs as they are."""
    refseq = _REFSEQ.match(contig)
    if refseq:
        number = int(refseq.group(1))
        return {23: "X", 24: "Y"}.get(number, str(number))
    bare = contig.removeprefix("chr")
    return "MT" if bare == "M" or contig.startswith("NC_012920") else bare


def _gtf(path: str, rows: Iterator[list[str]], features: tuple[str, ...]) -> Iterator[Line]:
    for contig, _, kind, start, end, _, _, _, text in rows:
        if kind not in features:
            continue
        about = dict(_GTF_ATTRIBUTE.findall(text))
        if "gene_id" not in about:
            raise InputError(fault(path, "gene_id", found=f"none in {text[:40]!r}", wanted="one"))
        symbol = about.get("gene_name", about.get("gene"))
        biotype = about.get("gene_biotype", about.get("gene_type"))
        yield Line(about["gene_id"], symbol, contig, start, end, kind, biotype)


def _gff3(path: str, rows: Iterator[list[str]], features: tuple[str, ...]) -> Iterator[Line]:
    """Parts name their transcript, and that its gene, which stand before them in the file."""
    genes: dict[str, tuple[str, str | None, str | None]] = {}
    for contig, _, kind, start, end, _, _, _, text in rows:
        about = dict(pair.split("=", 1) for pair in text.strip(" ;").split(";") if "=" in pair)
        own_id, parent = about.get("ID", ""), about.get("Parent", "").split(",")[0]
        is_gene = kind in GENE_TYPES
        if is_gene:
            gene_id = about.get("gene_id") or _ID_PREFIX.sub("", own_id)
            biotype = about.get("biotype", about.get("gene_biotype", about.get("gene_type")))
            gene = gene_id, about.get("gene_name", about.get("Name", about.get("gene"))), biotype
        elif parent in genes:
            gene = genes[parent]
        elif kind in features:
            raise InputError(
                fault(
                    path, "Parent", found=f"{parent or 'none'} of {kind} {own_id}", wanted="a line before it"
                )
            )
        else:
            continue
        genes.setdefault(own_id, gene)
        if ("gene" if is_gene else kind) in features:
            yield Line(*gene[:2], contig, start, end, "gene" if is_gene else kind, gene[2])


def _bed(path: str, rows: Iterator[list[str]]) -> Iterator[Line]:
    for row in rows:
        if len(row) < 3 or row[0].startswith(("track", "browser")):
            continue
        if len(row) < 4 or not row[3]:
            raise InputError(fault(path, "name", found=f"{len(row)} columns", wanted="a gene in column 4"))
        # BED counts from 0; what is no number is told with the other positions.
        start = str(int(row[1]) + 1) if row[1].isdigit() else row[1]
        symbol = None if _ENSEMBL.match(row[3]) else row[3]
        yield Line(row[3], symbol, row[0], start, row[2], "", None)
