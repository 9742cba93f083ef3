"""The table at the end of docs/vcf_outcomes.md: what becomes of public malformed files.

`python -m tests.etl.ingest.outcome_table ../shared/data/09_malformed` writes it anew.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.etl.ingest.outcome import Outcome, best_outcome
from tests.etl.ingest.test_bcftools import vcf_files

PAGE = Path(__file__).resolve().parents[3] / "docs" / "vcf_outcomes.md"
HEAD = """\
| outcome | reason, or place: what was found | files | bcftools reads | names |
|---|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Group:
    """Files with the same outcome for the same reason."""

    rank: int
    kind: str
    about: str


def table(folder: Path) -> str:
    """One line for each outcome of the files of a folder."""
    groups: dict[Group, list[str]] = defaultdict(list)
    for path in vcf_files(folder):
        groups[_group(path, best_outcome(path)[1])].append(str(path.relative_to(folder)))
    by_bcftools = _read_by_bcftools(folder)
    lines = [
        (group.kind, group.about, str(len(names)), str(len(by_bcftools & set(names))), _short(names))
        for group, names in sorted(groups.items())
    ]
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _group(path: Path, found: Outcome) -> Group:
    if found.faults:
        _, place, told = found.faults[0].removeprefix(str(path)).split(": ", 2)
        place = re.sub(r"^record.*", "record", re.sub(r" of chromosome.*", "", place))
        return Group(2, found.kind, _cell(f"{place}: {told.partition(', wanted ')[0]}"))
    return Group(int(bool(found.reasons)), found.kind, ", ".join(f"`{name}`" for name in found.reasons))


def _cell(text: str) -> str:
    """What is found, without what differs from file to file."""
    text = re.sub(r"(?<!\w)'[^']*'", "'…'", re.sub(r"\b\d+\b", "n", text))
    text = re.sub(r"(first line: found) (?!nothing).*", r"\1 something else", text)
    return re.sub(r"(#CHROM line: found) [#…].*", r"\1 other columns", text).replace("|", "\\|")


def _short(paths: Iterable[str]) -> str:
    """Names by folder, the common words of the public set left out, neighbours in numbers joined."""
    parts = [(*_family(path), path) for path in sorted(paths)]
    told = []
    for (folder, family), members in groupby(parts, key=lambda part: part[:2]):
        numbers = sorted(number for *_, number, _ in members)
        told.append((folder, family + _ranges(numbers)))
    return "; ".join(
        f"{folder}: {', '.join(name for _, name in names)}"
        for folder, names in groupby(told, key=lambda item: item[0])
    )


def _family(path: str) -> tuple[str, str, int]:
    """Folder, name without its number, number (-1 for none)."""
    folder, _, name = path.rpartition("/")
    name = re.sub(r"^(failed|passed)_", "", name.removesuffix(".vcf"))
    numbered = re.fullmatch(r"(.*_)(\d{3})", name)
    folder = folder.removeprefix("hts-specs/")
    return (folder, numbered[1], int(numbered[2])) if numbered else (folder, name, -1)


def _ranges(numbers: list[int]) -> str:
    """'000–003, 007'."""
    if numbers == [-1]:
        return ""
    runs = groupby(enumerate(numbers), key=lambda item: item[1] - item[0])
    ends = [[number for _, number in run] for _, run in runs]
    return " ".join(f"{run[0]:03d}" if len(run) == 1 else f"{run[0]:03d}–{run[-1]:03d}" for run in ends)


def _read_by_bcftools(folder: Path) -> set[str]:
    with (folder / "bcftools_1.16_behaviour.tsv").open() as stream:
        return {
            row["path"] for row in csv.DictReader(stream, delimiter="\t") if row["bcftools_view_rc"] == "0"
        }


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(HEAD)[0] + table(Path(sys.argv[1])))
