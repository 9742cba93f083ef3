"""From a configuration file to the files of a simulated study."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from contract.config import digest, load_config
from contract.errors import InputError, fault
from contract.provenance import software_versions, source_digest
from etl import bgzf
from etl.simulate import reference
from etl.simulate.annotation import Annotator
from etl.simulate.config import SimulateConfig
from etl.simulate.gene_tables import write_constraint, write_targets
from etl.simulate.gtf import write_gtf
from etl.simulate.people import new_people, write_samples
from etl.simulate.record import Provenance, build_truth
from etl.simulate.study import Report, Study, run_parallel, simulate_study
from etl.simulate.truth import Truth, load_truth
from etl.simulate.vcf import Block, WrittenBlock, header, write_block

TRUTH_FILE = "truth.json"
NEW_FILE = "new.vcf.bgz"
_SITES_PER_BLOCK = 64


def run_simulation(config_path: str | Path, overrides: Sequence[str] = ()) -> Truth:
    """
    Simulate the study of a configuration file, with progress on the terminal; see `simulate`.

    Raises
    ------
    InputError
        If the configuration is at fault or the folder cannot be written.
    """
    config = load_config(SimulateConfig, config_path, overrides)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bars = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=total)
            progress.update(bars[stage], completed=done)

        return simulate(config, report)


def simulate(config: SimulateConfig, report: Report = lambda stage, done, total: None) -> Truth:
    """
    Write VCF, samples table, GTF, capture intervals, gene constraint and, last, truth.json into `config.out`.

    A folder that already holds the same study (configuration, code, versions, files) is left as it is.

    Parameters
    ----------
    config
        The study.
    report
        Called with stage, steps done and steps in all.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    code = digest(
        {
            "settings": config.result_settings(),
            "code": source_digest(Path(__file__).parent),
            "software": _software(),
        }
    )
    finished = _finished(config.out, code)
    if finished is not None:
        return finished
    with _scratch_folder(config.out) as scratch:
        study = simulate_study(config, report)
        written = _write_files(config, study, scratch, report)
        files = {path.name: _sha256(path) for path in sorted(scratch.iterdir())}
        truth = build_truth(config, study, written, Provenance(files, code, _software()))
        (scratch / TRUTH_FILE).write_text(truth.model_dump_json(indent=1) + "\n")
        _publish(scratch, config.out)
    return truth


@contextmanager
def _scratch_folder(out: Path) -> Iterator[Path]:
    """A folder inside `out` for unfinished files, gone at the end."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    except OSError as error:
        wanted = "a folder that can be written"
        raise InputError(fault(out, "out", found=error.strerror, wanted=wanted)) from None
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _software() -> dict[str, str]:
    return software_versions(["exoshard", "msprime", "tskit", "numpy"])


def _finished(out: Path, code: str) -> Truth | None:
    try:
        truth = load_truth(out / TRUTH_FILE)
    except InputError:
        return None
    if truth.config_digest != code or any(not (out / name).is_file() for name in truth.files):
        return None
    return truth if all(_sha256(out / name) == value for name, value in truth.files.items()) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _publish(scratch: Path, out: Path) -> None:
    """Move the finished files into place; truth.json, the commit mark, goes first and comes last."""
    (out / TRUTH_FILE).unlink(missing_ok=True)
    names = ("samples.tsv", "new_samples.tsv", "new.vcf.bgz", "genes.gtf", "targets.bed", "constraint.tsv")
    for stale in [*out.glob("cohort*.vcf.bgz"), *(out / name for name in names)]:
        stale.unlink(missing_ok=True)
    for path in sorted(scratch.iterdir(), key=lambda path: path.name == TRUTH_FILE):
        path.replace(out / path.name)


def _write_files(config: SimulateConfig, study: Study, folder: Path, report: Report) -> np.ndarray:
    """All files but truth.json; returns which alleles came into the VCF."""
    write_samples(study.people, config, folder / "samples.tsv")
    write_gtf(study.loci, config, folder / "genes.gtf")
    write_targets(study.loci, config, folder / "targets.bed")
    write_constraint(study.loci, config, folder / "constraint.tsv")
    blocks = list(study.alleles.blocks(_SITES_PER_BLOCK))
    tasks = ((block, study.people, config) for block in _prepare(config, study, blocks))
    written = np.zeros(len(study.alleles), dtype=bool)
    results = run_parallel(config, write_block, tasks)
    with _VcfFiles(config, study, folder) as files:
        for done, (rows, result) in enumerate(zip(blocks, results, strict=True), start=1):
            files.add(int(study.alleles.chromosome[rows.start]), result)
            written[rows] = result.written
            report("reads, calls and VCF", done, len(blocks))
    return written


def _prepare(config: SimulateConfig, study: Study, blocks: Iterable[slice]) -> Iterator[Block]:
    annotator = Annotator(study.loci, config.consequences, config.seed)
    pseudo_autosomal = np.array([locus.pseudo_autosomal for locus in study.loci])
    for number, chosen in enumerate(blocks):
        rows = study.alleles.rows(chosen)
        starts = rows.site_starts()
        ends = [*starts[1:].tolist(), len(rows)]
        csq = tuple(annotator.describe(rows.rows(slice(a, b))) for a, b in zip(starts, ends, strict=True))
        yield Block(number, rows, csq, ~pseudo_autosomal[rows.locus])


class _VcfFiles:
    """One VCF for everything, or one for each contig; each begins with the header and ends properly."""

    def __init__(self, config: SimulateConfig, study: Study, folder: Path) -> None:
        self._config = config
        self._folder = folder
        apart = new_people(study.people, config)
        self._header = bgzf.compress(header(config, study.people.sample_id[~apart]))
        self._new_header = bgzf.compress(header(config, study.people.sample_id[apart]))
        self._streams: dict[str, BinaryIO] = {}

    def __enter__(self) -> _VcfFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams.values():
            stream.write(bgzf.END_OF_FILE)
            stream.close()

    def add(self, chromosome: int, block: WrittenBlock) -> None:
        """Append a block's records to the file they belong to."""
        contig = reference.contig_name(self._config.reference_genome, chromosome)
        name = f"cohort.{contig}.vcf.bgz" if self._config.vcf_per_contig else "cohort.vcf.bgz"
        if name not in self._streams:
            self._streams[name] = (self._folder / name).open("wb")
            self._streams[name].write(self._header)
        self._streams[name].write(block.content)
        if self._config.new_people:
            if NEW_FILE not in self._streams:
                self._streams[NEW_FILE] = (self._folder / NEW_FILE).open("wb")
                self._streams[NEW_FILE].write(self._new_header)
            self._streams[NEW_FILE].write(block.new_content)
