"""Kinship of people drawn directly, as the ETL estimates it: pruning, KING, components, PC-Relate.

python -m deploy.bench.kinship PEOPLE MARKERS FOLDER; writes FOLDER/kinship.json
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.config import load_config
from etl.config import PROFILES, SparkConfig
from etl.genome import genome
from etl.qc.ld_pruning import prune
from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack, write_plink
from etl.qc.related_pairs import estimate_kinship
from etl.session import starting
from etl.thresholds import Profile

AT_ONCE = 500
"""Markers that are drawn together."""

PARENTS = 0.01
"""Share of people who are a parent of another one: 120 pairs of 12,000 people."""

MISSING = 0.005
DRIFT = 0.05
"""F_ST between the two ancestries (Balding & Nichols 1995)."""

DISTANCE = 200_000
"""Base pairs between markers: each is compared with its next five within the window of pruning."""

BY_ALLELES = np.array([HOM_REF_BITS, HET_BITS, HOM_ALT_BITS], dtype=np.uint8)


def n_parents(n_people: int) -> int:
    """Return how many people have a child among the others."""
    return round(PARENTS * n_people)


def draw_markers(n_people: int, n_markers: int, *, seed: int) -> Markers:
    """Draw independent markers of two equal ancestries; the first people are parent and child in turn."""
    random = np.random.default_rng(seed)
    ancestry_P = np.arange(n_people) % 4 // 2
    packed = []
    for first in range(0, n_markers, AT_ONCE):
        shape = (min(AT_ONCE, n_markers - first), n_people)
        ancestral_M = random.uniform(0.05, 0.5, (shape[0], 1))
        spread = (1 - DRIFT) / DRIFT
        frequency_MA = random.beta(ancestral_M * spread, (1 - ancestral_M) * spread, (shape[0], 2))
        frequency_MP = frequency_MA.astype(np.float32)[:, ancestry_P]
        mothers_MP, fathers_MP = (random.random(shape, dtype=np.float32) < frequency_MP for _ in range(2))
        parents, children = (slice(start, 2 * n_parents(n_people), 2) for start in (0, 1))
        is_mothers_MP = random.random(shape, dtype=np.float32) < 0.5
        mothers_MP[:, children] = np.where(is_mothers_MP, mothers_MP, fathers_MP)[:, parents]
        bits_MP = BY_ALLELES[mothers_MP.astype(np.int8) + fathers_MP]
        bits_MP[random.random(shape, dtype=np.float32) < MISSING] = MISSING_BITS
        packed.append(pack(bits_MP))
    people = tuple(f"P{number:06d}" for number in range(n_people))
    return Markers(_sites(n_markers), people, np.concatenate(packed))


def _sites(n_markers: int) -> pd.DataFrame:
    lengths = genome("GRCh38").lengths
    sites = [
        (f"chr{number}", position)
        for number in range(1, 23)
        for position in range(DISTANCE, lengths[f"chr{number}"], DISTANCE)
    ]
    frame = pd.DataFrame(sites, columns=["contig", "position"])
    return frame.iloc[:n_markers].assign(ref="A", alt="C")


def estimate(n_people: int, n_markers: int, folder: Path) -> dict[str, Any]:
    """Return seconds without those of drawing and of starting Spark, and whether the relatives were found."""
    limits = load_config(Profile, PROFILES / "bipex.yaml").relatedness
    with starting(SparkConfig(driver_memory="2g"), brief=True) as engine:
        drawn = draw_markers(n_people, n_markers, seed=1)
        people = pd.DataFrame({"sample_id": drawn.people, "call_rate": 1 - MISSING})
        engine.wait_for_spark()
        started = time.perf_counter()
        markers = prune(drawn, limits)
        pruned = time.perf_counter()
        found = estimate_kinship(markers, write_plink(markers, str(folder / "markers")), people, limits).pairs
        ended = time.perf_counter()
    close = found[found["kinship"] >= limits.min_kinship_family]
    return {
        "seconds": ended - started,
        "pruning_seconds": pruned - started,
        "markers": len(markers),
        "pairs_drawn": n_parents(n_people),
        "pairs_found": len(close),
    }


if __name__ == "__main__":
    out = Path(sys.argv[3])
    told = estimate(int(sys.argv[1]), int(sys.argv[2]), out)
    (out / "kinship.json").write_text(json.dumps(told), encoding="utf-8")
