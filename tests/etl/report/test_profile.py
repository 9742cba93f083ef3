from pydantic import BaseModel, Field

from etl.report.profile import profile_thresholds

YAML = """# A profile.
name: small
sample:              # study scripts
  min_call_rate: 0.93   # share of genotypes
  max_charr: 2.0e-2
  metrics: [a, b]       # names
"""


class Sample(BaseModel):
    min_call_rate: float = Field(description="call rate")
    max_charr: float
    metrics: list[str]


class Small(BaseModel):
    name: str
    sample: Sample


def test_profile_thresholds__comment_is_the_source():
    profile = Small(name="small", sample=Sample(min_call_rate=0.93, max_charr=0.02, metrics=["a", "b"]))
    found = profile_thresholds(profile, YAML)
    assert [(item.group, item.name, item.value, item.source) for item in found] == [
        ("sample", "min_call_rate", "0.93", "share of genotypes; study scripts"),
        ("sample", "max_charr", "0.02", "study scripts"),
        ("sample", "metrics", "a, b", "names; study scripts"),
    ]
    assert found[0].meaning == "call rate"


def test_profile_thresholds__a_number_of_this_run_does_not_borrow_the_source():
    profile = Small(name="small", sample=Sample(min_call_rate=0.9, max_charr=0.02, metrics=["a"]))
    sources = [item.source for item in profile_thresholds(profile, YAML)]
    assert sources == [
        "set by this run; the profile has 0.93",
        "study scripts",
        "set by this run; the profile has [a, b]",
    ]
