"""A report with every part in it, of as many people as a test wants. Nobody's numbers mean anything."""

from dataclasses import replace

import numpy as np
import pandas as pd

from contract.config import load_config
from contract.manifest import LedgerEntry
from contract.page.panel import Cut
from etl.associate.inflation import channel_inflation
from etl.config import PROFILES
from etl.report.attrition import people_flow, people_ledger, removal_tests, variant_ledger
from etl.report.data import AssociationPart, Attrition, Histogram, ReportData, Threshold
from etl.report.gates import judge
from etl.report.people import report_people
from etl.report.people_figures import SAMPLE_METRICS
from etl.report.variants import VariantSums
from etl.thresholds import GateThresholds, Profile


def gate_limits() -> GateThresholds:
    return load_config(Profile, PROFILES / "bipex.yaml").gates


def example_people(n: int, n_batches: int = 2) -> pd.DataFrame:
    """Every fifth person leaves at step 2, the next at step 3, the next at step 4; every tenth is sealed."""
    random = np.random.default_rng(1)
    place = np.arange(n)
    metrics = pd.DataFrame(
        {
            "sample_id": [f"SECRET{number}" for number in place],
            "is_case": pd.array(random.integers(0, 2, n), dtype="Int8"),
            "batch": [f"wave{number % n_batches + 1}" for number in place],
            "reported_sex": np.where(place % 2, "male", "female"),
            "imputed_sex": np.where(place % 2, "male", "female"),
            "declared_fold": None,
            "f_stat": place % 2 + random.normal(0, 0.05, n),
            **{name: random.gamma(9.0, 0.1, n) for name in SAMPLE_METRICS},
            "reasons": np.where(place % 5 == 0, "call_rate,mean_dp", ""),
        }
    )
    ids = metrics["sample_id"]
    folded = pd.DataFrame({"sample_id": ids, "fold": place % 10})[(place % 5 != 0) & (place % 5 != 1)]
    duplicates = pd.DataFrame({"sample_id": ids[place % 5 == 1], "reasons": "duplicate"})
    components = folded.assign(reasons=np.where(folded["fold"] % 5 == 2, "outlier_r_ti_tv", ""))
    people = report_people(metrics, duplicates, folded, components, test_fold=7)
    return people.assign(in_end=place % 5 > 2)


def attrition_of(people: pd.DataFrame) -> Attrition:
    ledger, flow = people_ledger(people), people_flow(people)
    return Attrition(
        people=ledger,
        flow=flow,
        tests=removal_tests(flow, ledger),
        variants=variant_ledger({"hwe": 3}, {"hwe": 4, "call_rate": 1}, n_in=10, n_out=7),
        n_people=(len(people), int(people["in_end"].sum())),
        n_variants=(10, 7),
    )


def example_association(n_genes: int = 400) -> AssociationPart:
    random = np.random.default_rng(4)
    place = np.tile(np.arange(n_genes), 2)
    p = random.uniform(size=2 * n_genes)
    table = pd.DataFrame(
        {
            "gene_id": [f"ENSG{number}" for number in place],
            "symbol": [f"GENE{number}" for number in place],
            "contig": [f"chr{number * 23 // n_genes + 1}".replace("23", "X") for number in place],
            "start": 10_000 * place + 1,
            "end": 10_000 * place + 2_000,
            "channel": np.repeat(["plof", "synonymous"], n_genes),
            "carriers_cases": random.integers(0, 20, 2 * n_genes),
            "carriers_controls": random.integers(5, 40, 2 * n_genes),
            "expected_carriers": 9.0,
            "effect": random.normal(size=2 * n_genes),
            "standard_error": 1.0,
            "p": p,
            "log10_p": -np.log10(p),
            "test": "score",
        }
    )
    return AssociationPart(table, channel_inflation(table, 5), 1_200, 2_400, 7)


def full_report(n_people: int = 60, n_batches: int = 2) -> ReportData:
    random = np.random.default_rng(2)
    people = example_people(n_people, n_batches)
    pairs = pd.DataFrame(
        {"kinship": random.uniform(0.05, 0.5, n_people), "ibs0": random.uniform(0, 0.1, n_people)}
    )
    scores = pd.DataFrame(random.normal(size=(n_people, 2)), columns=["pc1", "pc2"])
    sums = VariantSums(n=10, n_passing=7)
    sums.spectrum[:, :9], sums.differences[30:50], sums.p_values[:40] = 5, 3, 20
    burden = pd.DataFrame(
        [
            (name, status, 10, 1.5, 1.25, 1.75, 0.4)
            for name in ("plof", "synonymous")
            for status in ("case", "control")
        ],
        columns=["channel", "status", "n", "mean", "low", "high", "p"],
    )
    data = ReportData(
        title="A & B",
        facts={"people in": 12345},
        attrition=attrition_of(people),
        lines=[LedgerEntry(step="ingest", unit="genotypes", reason="depth", count=25)],
        n_genotypes=100,
        people=people,
        sample_cuts={"call_rate": Cut(low=0.93), "f_stat": Cut(0.2, 0.8)},
        variants={"call_rate": Histogram(np.array([0.0, 0.5, 1.0]), np.array([1, 9]), Cut(low=0.97))},
        variant_sums=sums,
        max_call_rate_difference=0.02,
        components=scores.assign(
            ancestry="group1", batch=people["batch"], status=people["status"], is_fitted=True
        ),
        eigenvalues=pd.DataFrame({"eigenvalue": [5.0, 1.0], "noise": [1.2, 1.1]}),
        kinship=pairs.assign(relationship=np.where(pairs["kinship"] > 0.177, "first degree", "further")),
        min_kinship_family=0.0884,
        n_pairs_across_folds=0,
        burden=burden,
        synonymous=["synonymous"],
        association=example_association(),
        classes={"plof": 3, "synonymous": 4},
        thresholds=[Threshold("sample", "min_call_rate", "0.93", "call rate", "a study")],
        numbers={
            **{"people_in": 60, "people_out": 24, "variants_in": 10, "variants_out": 7, "profile": "bipex"},
            **{"kinship": "estimate", "markers": 1673, "fitted_on": 20, "hail": "0.2", "spark": "3.5"},
            **{"components_above_noise": 1, "components_kept": 1, "n_components": 2},
        },
    )
    return replace(data, gates=judge(data, gate_limits()))
