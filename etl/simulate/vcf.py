"""VCF text: the header, and blocks of records that are drawn, called and written independently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etl import bgzf
from etl.simulate import reads, reference
from etl.simulate.annotation import CSQ_FIELDS
from etl.simulate.calls import FORMAT, MISSING, call_table, entry_texts, genotype_order
from etl.simulate.config import SimulateConfig
from etl.simulate.people import People
from etl.simulate.rng import generator
from etl.simulate.sites import DEFECTS, Alleles

FAILED_FILTER = "VQSRTrancheSNP99.90to100.00"
_HEADER = """##fileformat=VCFv4.2
##source=exoshard-simulate
##reference={genome}-contigs-with-invented-bases
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID={failed},Description="Simulated low-quality tranche">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Called copies of each alternative allele">
##INFO=<ID=AF,Number=A,Type=Float,Description="AC / AN">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Called alleles">
##INFO=<ID=QD,Number=1,Type=Float,Description="QUAL / reads of the carriers">
##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. Format: {csq}">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Genotype quality, phred-scaled, at most 99">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Genotype likelihoods, phred-scaled, best is 0">
"""


@dataclass(frozen=True)
class Block:
    """Some consecutive sites of one chromosome, with all that their records need."""

    number: int
    rows: Alleles
    csq: tuple[str, ...]
    non_pseudo_autosomal: np.ndarray


@dataclass(frozen=True)
class WrittenBlock:
    """Compressed records, and which rows (of the block) were called in somebody and so were written."""

    content: bytes
    written: np.ndarray


def header(config: SimulateConfig, people: People) -> bytes:
    """Header with all contigs of the reference genome that can hold variants."""
    genome = config.reference_genome
    contigs = "".join(
        f"##contig=<ID={reference.contig_name(genome, c)},length={reference.contig_length(genome, c)},"
        f"assembly={genome}>\n"
        for c in range(len(reference.CHROMOSOMES))
    )
    meta = _HEADER.format(genome=genome, failed=FAILED_FILTER, csq="|".join(CSQ_FIELDS))
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people.sample_id]
    return (meta + contigs + "\t".join(columns) + "\n").encode()


def write_block(block: Block, people: People, config: SimulateConfig) -> WrittenBlock:
    """
    Draw the reads of a block's entries, call them, and write the records of sites with a called allele.

    The block's number and the study's seed alone decide what is drawn.
    """
    rng = generator(config.seed, "reads", block.number)
    rows, settings = block.rows, config.sequencing
    starts = rows.site_starts()
    ends = np.append(starts[1:], len(rows))
    hemizygous = reads.hemizygous_entries(rows, people, block.non_pseudo_autosomal)
    depth = reads.draw_depths(rng, rows, people, settings, hemizygous)
    balance = reads.expected_balance(rng, rows, people, settings)
    alternative = reads.draw_alternative_reads(rng, depth, balance, settings.error_rate)
    written = np.zeros(len(rows), dtype=bool)
    lines = []
    for site, (first, end) in enumerate(zip(starts, ends, strict=True)):
        counts = _read_counts(depth[first], alternative[first:end])
        line = _record(rows.rows(slice(first, end)), counts, block.csq[site], config)
        if line is not None:
            written[first:end] = True
            lines.append(line)
    return WrittenBlock(bgzf.compress(b"".join(lines)), written)


def _read_counts(depth: np.ndarray, alternative: np.ndarray) -> np.ndarray:
    """Reads by allele, alleles × people; several alternative alleles never take more than all reads."""
    left = depth.copy()
    counts = []
    for reads_of_allele in alternative:
        taken = np.minimum(reads_of_allele, left)
        left = left - taken
        counts.append(taken)
    return np.stack([left, *counts])


def _record(site: Alleles, counts: np.ndarray, csq: str, config: SimulateConfig) -> bytes | None:
    """One line, or None where no alternative allele was called."""
    error_rate = config.sequencing.error_rate
    if len(site) == 1:
        key = counts[0] * (reads.MAXIMUM_DEPTH + 1) + counts[1]
        table = call_table(error_rate)
        copies = table.copies[key]
        texts, reference_pl = table.text[key].tolist(), table.reference_pl[key]
        allele_counts = [int(copies[copies > 0].sum())]
        called = int(np.count_nonzero(copies != MISSING))
        carriers = copies > 0
    else:
        texts, best, reference_pl = _call_multiallelic(counts, error_rate)
        order = np.array(genotype_order(len(counts)))
        drawn = order[best[best != MISSING]]
        allele_counts = [int(np.count_nonzero(drawn == allele)) for allele in range(1, len(counts))]
        called = len(drawn)
        carriers = best > 0
    if not sum(allele_counts):
        return None
    quality = float(reference_pl[carriers].sum())
    by_depth = quality / max(int(counts[:, carriers].sum()), 1)
    info = _info(allele_counts, called, by_depth, csq)
    return b"\t".join([_fixed_columns(site, quality, info, config), *texts]) + b"\n"


def _call_multiallelic(counts: np.ndarray, error_rate: float) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """As `entry_texts`, calling each distinct set of read counts once."""
    distinct, place = np.unique(counts.T, axis=0, return_inverse=True)
    texts, best, likelihoods = entry_texts(distinct, error_rate)
    place = place.ravel()
    return [texts[i] for i in place.tolist()], best[place], likelihoods[place, 0]


def _info(allele_counts: list[int], called: int, quality_by_depth: float, csq: str) -> str:
    number = 2 * called
    ac = ",".join(map(str, allele_counts))
    af = ",".join(f"{count / number:.4g}" for count in allele_counts)
    return f"AC={ac};AF={af};AN={number};QD={quality_by_depth:.2f};CSQ={csq}"


def _fixed_columns(site: Alleles, quality: float, info: str, config: SimulateConfig) -> bytes:
    contig = reference.contig_name(config.reference_genome, int(site.chromosome[0]))
    ref = max(site.ref, key=len)
    alt = ",".join(a + ref[len(r) :] for r, a in zip(site.ref, site.alt, strict=True))
    failed = DEFECTS[site.defect[0]] == "failed_filter"
    status = FAILED_FILTER if failed else "PASS"
    columns = [contig, str(site.position[0]), ".", ref, alt, f"{quality:.1f}", status, info, FORMAT]
    return "\t".join(columns).encode()
