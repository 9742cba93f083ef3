"""What bcftools, the reference program, says of VCF files. Run as a program it answers for `answers`.

Each file is read in a process of its own, forked from one that has little but pysam in it: bcftools was
written as a program, and what it leaves behind when it stops at an error would be seen by the next file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUERY = "%CHROM\\t%POS\\t%REF\\t%ALT[\\t%GT]\\n"
SECONDS = 60
"""For one file: a reader that waits for ever is stopped."""


@dataclass(frozen=True)
class Answer:
    """Files of lines CHROM, POS, REF, ALT and everybody's GT; None where bcftools refuses the input."""

    lines: Path | None
    split: Path | None
    """The same behind `bcftools norm -m-`; None too where no record has two alternate alleles."""
    bcf: Path | None
    """The same calls as BCF; None too where a header does not declare all that the records have."""
    complaint: str


def answers(paths: Sequence[Path], folder: Path) -> list[Answer]:
    """What bcftools says of each file; its lines are written into `folder`."""
    told = subprocess.run(
        [sys.executable, __file__, str(folder)],
        input=json.dumps([str(path) for path in paths]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    return [
        _answer(folder / str(place), complaint) for place, complaint in enumerate(json.loads(told.stdout))
    ]


def _answer(stem: Path, complaint: str) -> Answer:
    lines, split, bcf = (stem.with_suffix(f".{kind}") for kind in ("lines", "split", "bcf"))
    return Answer(*(path if path.exists() else None for path in (lines, split, bcf)), complaint)


def _ask(path: str, stem: str) -> None:
    """Write STEM.lines, STEM.split and STEM.bcf as far as bcftools gets."""
    from pysam import bcftools

    calls, split, partial = f"{stem}.calls.vcf", f"{stem}.split.vcf", f"{stem}.partial"
    bcftools.view("-o", "/dev/null", path, catch_stdout=False)
    bcftools.query("-u", "-f", QUERY, "-o", partial, path, catch_stdout=False)
    os.rename(partial, f"{stem}.lines")
    if _write_plain(f"{stem}.lines", calls):
        bcftools.norm("-m-any", "-o", split, calls, catch_stdout=False)
        bcftools.query("-f", QUERY, "-o", partial, split, catch_stdout=False)
        os.rename(partial, f"{stem}.split")
    bcftools.view("-Ob", "-o", partial, path, catch_stdout=False)
    os.rename(partial, f"{stem}.bcf")


def _write_plain(lines: str, path: str) -> bool:
    """A VCF of GT alone, which norm takes whatever else the file has; False if nothing can be split."""
    with open(lines, "rb") as stream:
        records = [line.rstrip(b"\n").split(b"\t", 4) for line in stream]
    if not any(b"," in record[3] for record in records) or len(records[0]) < 5:
        return False
    people = [f"s{place}".encode() for place in range(records[0][4].count(b"\t") + 1)]
    columns = [b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO", b"FORMAT", *people]
    with open(path, "wb") as stream:
        stream.write(b'##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n')
        stream.writelines(
            b"##contig=<ID=%s>\n" % name for name in dict.fromkeys(record[0] for record in records)
        )
        stream.write(b"\t".join(columns) + b"\n")
        for contig, position, ref, alt, calls in records:
            stream.write(
                b"\t".join([contig, position, b".", ref, alt, b".", b".", b".", b"GT", calls]) + b"\n"
            )
    return True


def _forked(path: str, stem: str) -> str:
    """The complaint of a child of this process, whatever becomes of it."""
    told = Path(f"{stem}.told")
    child = os.fork()
    if not child:
        import signal

        from pysam import SamtoolsError

        signal.alarm(SECONDS)
        try:
            _ask(path, stem)
        except SamtoolsError as error:
            told.write_text(str(error))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        return f"bcftools ended with status {status}"
    return told.read_text() if told.exists() else ""


if __name__ == "__main__":
    import pysam.bcftools  # noqa: F401 - loaded once, before the forks

    # What bcftools prints beside the point must not come between the answers.
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = enumerate(json.load(sys.stdin))
    json.dump([_forked(path, f"{sys.argv[1]}/{place}") for place, path in asked], stdout)
    stdout.close()
