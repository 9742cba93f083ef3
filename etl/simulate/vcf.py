"""VCF text: the header, and blocks of records that are drawn, called and written independently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etl import bgzf
from etl.simulate import reads, reference
from etl.simulate.annotation import CSQ_FIELDS
from etl.simulate.calls import FORMAT, CalledEntries, Form, call_entries, call_table
from etl.simulate.config import SequencingConfig, SimulateConfig
from etl.simulate.people import People, new_people
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
    """Compressed records, and which rows (of the block) were called in somebody and so were written.

    `new_content` are those of people who are another cohort; what only they carry is not in the first one.
    """

    content: bytes
    new_content: bytes
    written: np.ndarray


def header(config: SimulateConfig, sample_id: np.ndarray) -> bytes:
    """Header of a file with these people, with all contigs of the reference genome that can hold variants."""
    genome = config.reference_genome
    contigs = "".join(
        f"##contig=<ID={reference.contig_name(genome, c)},length={reference.contig_length(genome, c)},"
        f"assembly={genome}>\n"
        for c in range(len(reference.CHROMOSOMES))
    )
    meta = _HEADER.format(genome=genome, failed=FAILED_FILTER, csq="|".join(CSQ_FIELDS))
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *sample_id]
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
    lines: tuple[list[bytes], list[bytes]] = ([], [])
    apart = new_people(people, config)
    for site, (first, end) in enumerate(zip(starts, ends, strict=True)):
        counts = _read_counts(depth[first], alternative[first:end])
        partial_pl = rng.random() < settings.partial_pl_share
        entries = _call(counts, hemizygous[first], settings, partial_pl=partial_pl)
        groups = (~apart, apart) if apart.any() else (~apart,)
        for chosen, into in zip(groups, lines, strict=False):
            own = CalledEntries(*(values[chosen] for values in vars(entries).values()))
            line = _record(rows.rows(slice(first, end)), counts[:, chosen], own, block.csq[site], config)
            if line is not None:
                written[first:end] |= into is lines[0]
                into.append(line)
    content, new_content = (bgzf.compress(b"".join(text)) for text in lines)
    return WrittenBlock(content, new_content, written)


def _read_counts(depth: np.ndarray, alternative: np.ndarray) -> np.ndarray:
    """Reads by allele, alleles × people; several alternative alleles never take more than all reads."""
    left = depth.copy()
    counts = []
    for reads_of_allele in alternative:
        taken = np.minimum(reads_of_allele, left)
        left = left - taken
        counts.append(taken)
    return np.stack([left, *counts])


def _call(
    counts: np.ndarray, hemizygous: np.ndarray, settings: SequencingConfig, *, partial_pl: bool
) -> CalledEntries:
    """Entries of all people at one site; `hemizygous` ones in the form that is set for men on X and Y."""
    entries = _call_as("diploid", counts, settings, partial_pl=partial_pl)
    if settings.men_on_x == "diploid" or not hemizygous.any():
        return entries
    other = _call_as(settings.men_on_x, counts[:, hemizygous], settings, partial_pl=partial_pl)
    for mine, theirs in zip(vars(entries).values(), vars(other).values(), strict=True):
        mine[hemizygous] = theirs
    return entries


def _call_as(
    form: Form, counts: np.ndarray, settings: SequencingConfig, *, partial_pl: bool
) -> CalledEntries:
    if len(counts) == 2:
        table = call_table(settings.error_rate, form)
        key = counts[0] * (reads.MAXIMUM_DEPTH + 1) + counts[1]
        return CalledEntries(table.text[key], table.copies[key], table.reference_pl[key])
    # Each distinct set of read counts is called once.
    distinct, place = np.unique(counts.T, axis=0, return_inverse=True)
    entries = call_entries(distinct, settings.error_rate, form, partial_pl=partial_pl)
    return CalledEntries(*(values[place.ravel()] for values in vars(entries).values()))


def _record(
    site: Alleles, counts: np.ndarray, entries: CalledEntries, csq: str, config: SimulateConfig
) -> bytes | None:
    """One line, or None where no alternative allele was called."""
    allele_counts = entries.copies.sum(axis=0)
    if not allele_counts[1:].any():
        return None
    carriers = entries.copies[:, 1:].any(axis=1)
    quality = float(entries.reference_pl[carriers].sum())
    by_depth = quality / max(int(counts[:, carriers].sum()), 1)
    info = _info(allele_counts.tolist(), by_depth, csq)
    return b"\t".join([_fixed_columns(site, quality, info, config), *entries.text.tolist()]) + b"\n"


def _info(allele_counts: list[int], quality_by_depth: float, csq: str) -> str:
    number, (_, *alternative) = sum(allele_counts), allele_counts
    ac = ",".join(map(str, alternative))
    af = ",".join(f"{count / number:.4g}" for count in alternative)
    return f"AC={ac};AF={af};AN={number};QD={quality_by_depth:.2f};CSQ={csq}"


def _fixed_columns(site: Alleles, quality: float, info: str, config: SimulateConfig) -> bytes:
    contig = reference.contig_name(config.reference_genome, int(site.chromosome[0]))
    ref = max(site.ref, key=len)
    alt = ",".join(a + ref[len(r) :] for r, a in zip(site.ref, site.alt, strict=True))
    failed = DEFECTS[site.defect[0]] == "failed_filter"
    status = FAILED_FILTER if failed else "PASS"
    columns = [contig, str(site.position[0]), ".", ref, alt, f"{quality:.1f}", status, info, FORMAT]
    return "\t".join(columns).encode()
