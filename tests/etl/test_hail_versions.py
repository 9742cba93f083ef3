import warnings
from types import SimpleNamespace

import pytest

from etl.hail_versions import start_hail_on, stop_hail_and_spark


class Waits:
    def close(self) -> None:
        raise AssertionError("its end would take ten seconds")


@pytest.mark.parametrize(
    ("server", "stops_spark"),
    [("_backend_server", True), ("_jhttp_server", False)],
    ids=["0.2.134", "0.2.139"],
)
def test_stop_hail_and_spark__of_either_hail(server: str, stops_spark: bool):
    calls: list[str] = []
    backend = SimpleNamespace(**{server: Waits()})
    context = SimpleNamespace(stop=lambda: calls.append("spark"))

    def stop() -> None:
        getattr(backend, server).close()
        calls.append("hail")
        if stops_spark:
            context.stop()

    env = SimpleNamespace(backend=lambda: backend)
    java = SimpleNamespace(Env=env)
    hail = SimpleNamespace(utils=SimpleNamespace(java=java), spark_context=lambda: context, stop=stop)
    stop_hail_and_spark(hail)
    assert calls[:2] == ["hail", "spark"]
    assert list(vars(backend)) == [server], "nothing is added that the other Hail has"


def test_start_hail_on__says_nothing_of_settings_that_are_set():
    def init(**settings: object) -> None:
        assert settings == {"sc": "spark", "quiet": True, "log": "x"}
        text = "Hail requires additional configuration options in Spark referring\n  to the path"
        warnings.warn_explicit(text, UserWarning, "spark_backend.py", 76, module="hail.backend.spark_backend")
        warnings.warn_explicit("another", UserWarning, "spark_backend.py", 77, module="hail.backend.x")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        start_hail_on(SimpleNamespace(init=init), "spark", log="x")
    assert [str(warning.message) for warning in told] == ["another"]
