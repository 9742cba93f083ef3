"""How large the measured inputs are."""

from pydantic import Field

from contract.config import ConfigModel


class TrainSizes(ConfigModel):
    """Those of `make bench-train`; the defaults are those of a published figure, tests take smaller ones."""

    people: int = Field(12_000, description="people of the dataset that loaders and training are measured on")
    genes: int = Field(19_000, description="genes of that dataset; it has four channels")
    density: float = Field(0.01, description="share of its features that are not zero")
    repeats: int = Field(3, description="measured turns of each loader, after one that is not counted")
    turn_seconds: float = Field(1.0, ge=0, description="least time of a turn, of whole epochs")
    plain_people: int = Field(640, ge=1, description="people of the dense file that plain Petastorm reads")
    steps: int = Field(150, ge=1, description="steps of each measured turn of training")
    turns: int = Field(3, ge=1, description="turns of each way to train that is compared with another")
    paper_steps: int = Field(3, ge=1, description="steps of the published network")


class Sizes(TrainSizes):
    """Those of `make bench`."""

    cohort_people: int = Field(
        2_000, description="people of the simulated cohort that the ETL is measured on"
    )
    cohort_genes: int = Field(1_000, description="genes of that cohort")


class EtlSizes(ConfigModel):
    """What benchmarks of the ETL share; the defaults give over 100,000 variants."""

    people: int = Field(2_000, ge=100, description="people of the simulated cohort")
    genes: int = Field(3_850, ge=1, description="genes of that cohort")
    small_records: int = Field(1_000, ge=1, description="records of its first contig in the small file")
    scaling: bool = Field(True, description="also measure halves of the cohort and the small file")


class GeneSizes(EtlSizes):
    """Those of `make bench-etl`, which also measures what follows quality control."""

    like: bool = Field(True, description="also describe one new person by the cohort, and by half of it")
    export_people: tuple[int, ...] = Field(
        (25_000, 50_000, 100_000), description="people whose drawn features are exported; none: nobody's"
    )
    export_density: float = Field(0.01, gt=0, le=1, description="share of their features that are not zero")


class QcSizes(EtlSizes):
    """Those of `make bench-qc`."""

    kinship_people: int = Field(12_000, ge=100, description="people drawn directly for kinship")
    kinship_markers: int = Field(10_000, ge=100, le=14_000, description="their markers, before pruning")
