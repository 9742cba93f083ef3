import re

import pytest
from pydantic import BaseModel, Field

from contract.config import load_config
from etl.config import PROFILES, EtlConfig
from etl.report.profile import profile_thresholds
from etl.thresholds import Profile
from tests.etl.study import DEMO

YAML = """# A profile.
name: small
sample:              # study scripts
  min_call_rate: 0.93   # share of genotypes
  max_charr: 2.0e-2
  metrics: [a, b]       # names
  deviations: {a: 4, b: 8}  # by metric
"""


class Deviations(BaseModel):
    a: float
    b: float


class Sample(BaseModel):
    min_call_rate: float = Field(description="call rate")
    max_charr: float
    metrics: list[str]
    deviations: Deviations


class Small(BaseModel):
    name: str
    sample: Sample


def small(*, min_call_rate: float = 0.93, metrics: tuple[str, ...] = ("a", "b"), b: float = 8) -> Small:
    sample = Sample(
        min_call_rate=min_call_rate, max_charr=0.02, metrics=list(metrics), deviations=Deviations(a=4, b=b)
    )
    return Small(name="small", sample=sample)


def test_profile_thresholds__comment_is_the_source():
    found = profile_thresholds(small(), YAML)
    assert [(item.group, item.name, item.value, item.source) for item in found] == [
        ("sample", "min_call_rate", "0.93", "share of genotypes; study scripts"),
        ("sample", "max_charr", "0.02", "study scripts"),
        ("sample", "metrics", "a, b", "names; study scripts"),
        ("sample", "deviations", "a 4.0, b 8.0", "by metric; study scripts"),
    ]
    assert found[0].meaning == "call rate"


def test_profile_thresholds__a_number_of_this_run_does_not_borrow_the_source():
    profile = small(min_call_rate=0.9, metrics=("a",), b=6)
    sources = [item.source for item in profile_thresholds(profile, YAML)]
    assert sources == [
        "set by this run; the profile has 0.93",
        "study scripts",
        "set by this run; the profile has [a, b]",
        "set by this run; the profile has {a: 4, b: 8}",
    ]


NUMBER = re.compile(r"^  (?P<name>\w+):[^#]*\d[^#]*(#(?P<comment>.*))?$")
SOURCE = re.compile(
    r"our own|et al\. \d{4}|[\w/]+\.(py|r|txt|md|html)\b|gnomAD v\d|hail\.\w+ default", re.IGNORECASE
)
STUDIES = sorted(path.stem for path in PROFILES.glob("*.yaml"))


def test_profiles__are_three():
    assert STUDIES == ["bipex", "gnomad-v4", "ukb"]


@pytest.mark.parametrize("study", STUDIES)
def test_profiles__every_number_has_a_unit_and_a_source(study):
    lines = (PROFILES / f"{study}.yaml").read_text(encoding="utf-8").splitlines()
    numbers = [match for match in map(NUMBER.match, lines) if match]
    without = []
    for match in numbers:
        unit, _, source = (match["comment"] or "").partition(";")
        if not unit.strip() or not SOURCE.search(source):
            without.append(match["name"])
    assert without == []
    fields = [
        name
        for _, section in load_config(Profile, PROFILES / f"{study}.yaml")
        if section != study
        for name in type(section).model_fields
    ]
    assert len(numbers) == len(fields) - 1, "require_pass alone is no number"


@pytest.mark.parametrize("study", STUDIES)
def test_profiles__are_named_by_their_file_and_can_be_overridden(study):
    overrides = [f"profile={study}", "thresholds.variant.min_call_rate=0.5"]
    profile = load_config(EtlConfig, DEMO, overrides).resolved_profile()
    assert (profile.name, profile.variant.min_call_rate) == (study, 0.5)
