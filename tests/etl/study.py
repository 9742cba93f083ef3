"""The one simulated study that the tests of whole runs share: GRCh37, its calls in two files."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.config import build_config, load_config
from etl.config import EtlConfig
from etl.simulate import Truth, load_truth, simulate
from etl.simulate.config import SimulateConfig
from tests.etl.mini import write_bgzip

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "conf" / "etl" / "demo.yaml"

SETTINGS = {
    "seed": 11,
    "reference_genome": "GRCh37",
    "people": 160,
    "genes": {"count": 30, "coding_length_median": 2400, "backbone_markers": 800},
    "relatives": {"duplicates": 1, "parent_child": 2, "siblings": 2, "half_siblings": 1, "avuncular": 1},
    "consequences": {"plof_half_frequency": 0.02, "damaging_half_frequency": 0.02},
    "phenotype": {"prevalence": 0.1, "heritability": 0.5, "causal_genes": 8},
}


@dataclass(frozen=True)
class Study:
    """A cohort that the simulator wrote and the folder of its ETL run."""

    cohort: Path
    out: Path
    truth: Truth

    def overrides(self, **changes: object) -> list[str]:
        """Settings that turn the demo's configuration into this study's."""
        own = {"data": self.cohort, "out": self.out, "reference": "GRCh37"}
        settings = {**own, "input.vcf": self.cohort / "calls.*.vcf.bgz", **changes}
        return [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]

    def config(self, **changes: object) -> EtlConfig:
        """The ETL's configuration; `thresholds__sample__min_mean_dp=1` changes one setting."""
        return load_config(EtlConfig, DEMO, self.overrides(**changes))


def simulate_study(folder: Path, **changes: object) -> Study:
    """Simulate into `folder`/cohort; `changes` replace top-level settings."""
    settings = {**SETTINGS, "out": str(folder / "cohort"), **changes}
    simulate(build_config(SimulateConfig, settings, "test"))
    _halve(folder / "cohort" / "cohort.vcf.bgz")
    return Study(folder / "cohort", folder / "out", load_truth(folder / "cohort" / "truth.json"))


def choose_people(vcf: str, sources: Mapping[str, str], *, without_contig: str | None = None) -> str:
    """A VCF with some of its people: new name -> the name that their calls stand under."""
    lines: list[str] = []
    places: list[int] = []
    for line in vcf.splitlines():
        cells = line.split("\t")
        if line.startswith("#CHROM"):
            places = [cells.index(source) for source in sources.values()]
            lines.append("\t".join([*cells[:9], *sources]))
        elif line.startswith("##"):
            lines.append(line)
        elif cells[0] != without_contig:
            lines.append("\t".join([*cells[:9], *(cells[place] for place in places)]))
    return "\n".join(lines) + "\n"


def _halve(path: Path) -> None:
    """Put chromosomes 1 to 9 and the others into a file each; the first record stands in both."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    header = "".join(line for line in lines if line.startswith("#"))
    records = [line for line in lines if not line.startswith("#")]
    first = [line for line in records if line[:2] in {f"{number}\t" for number in range(1, 10)}]
    others = records[len(first) :]
    assert first
    assert others
    write_bgzip(path.with_name("calls.1.vcf.bgz"), header + "".join(first))
    write_bgzip(path.with_name("calls.2.vcf.bgz"), header + first[0] + "".join(others))
    path.unlink()
