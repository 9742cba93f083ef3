import pickle
import traceback

import pytest

from contract.errors import InputError, fault, faults_in_text, place_in_text, working_on


def test_fault__names_file_field_found_and_wanted():
    assert fault("a.vcf", "FORMAT", found="GT", wanted="GQ") == "a.vcf: FORMAT: found GT, wanted GQ"


def test_input_error__one_or_many_faults():
    assert InputError("a").faults == ["a"]
    assert str(InputError(["a", "b"])) == "a\nb"


def test_input_error__keeps_its_faults_between_processes():
    assert pickle.loads(pickle.dumps(InputError(["a", "b"]))).faults == ["a", "b"]


def raised(error: Exception, place: str | None = None) -> str:
    """The text that Spark brings back from a task: the traceback, indented as it pleases."""
    try:
        if place is None:
            raise error
        with working_on(place):
            raise error
    except Exception:  # noqa: BLE001 - any, for its text
        return "".join(f"\tat {line}\n" for line in traceback.format_exc().splitlines())


def test_faults_in_text__every_fault_of_the_first_traceback():
    faults = ["a.vcf: GT: found ≥ and\na second line, wanted 0/1", "b: c: found 'd', wanted \"e\""]
    text = f"org.apache.spark.SparkException: …\n{raised(InputError(faults))}{raised(InputError('later'))}"
    assert faults_in_text(text) == faults


def test_faults_in_text__none_in_other_tracebacks():
    assert faults_in_text(raised(ValueError("exoshard faults: [not JSON"))) == []
    assert faults_in_text(raised(ValueError('exoshard faults: "one"'))) == []


def test_place_in_text__the_innermost_one():
    with (
        pytest.raises(ValueError, match="0/x") as caught,
        working_on("cohort.vcf"),
        working_on("cohort.vcf, record chr1:5"),
    ):
        raise ValueError("0/x")
    text = "".join(traceback.format_exception(caught.value))
    assert place_in_text(text) == "cohort.vcf, record chr1:5"
    assert place_in_text(raised(OSError("no"), "cohort.vcf")) == "cohort.vcf"
    assert place_in_text(raised(OSError("no"))) is None
