"""The one simulated study that the tests of whole runs share."""

from dataclasses import dataclass
from pathlib import Path

from contract.config import build_config, load_config
from etl.config import EtlConfig
from etl.simulate import Truth, load_truth, simulate
from etl.simulate.config import SimulateConfig

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "conf" / "etl" / "demo.yaml"

SETTINGS = {
    "seed": 11,
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
        settings = {"data": self.cohort, "out": self.out, **changes}
        return [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]

    def config(self, **changes: object) -> EtlConfig:
        """The ETL's configuration; `thresholds__sample__min_mean_dp=1` changes one setting."""
        return load_config(EtlConfig, DEMO, self.overrides(**changes))


def simulate_study(folder: Path, **changes: object) -> Study:
    """Simulate into `folder`/cohort; `changes` replace top-level settings."""
    settings = {**SETTINGS, "out": str(folder / "cohort"), **changes}
    simulate(build_config(SimulateConfig, settings, "test"))
    return Study(folder / "cohort", folder / "out", load_truth(folder / "cohort" / "truth.json"))
