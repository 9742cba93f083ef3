"""What Hail 0.2.134 and 0.2.139 do differently, in one place: the rest of the code knows one Hail."""

from __future__ import annotations

import warnings
from typing import Any


def start_hail_on(hail: Any, context: Any, **settings: Any) -> None:
    """Start Hail, which prints nothing, on a Spark that runs with what it needs."""
    # A newer Hail lists settings whenever it is given a Spark, though they are set; 0.2.134 minds `quiet`.
    warnings.filterwarnings("ignore", "Hail requires additional configuration options", module=r"hail\.")
    hail.init(sc=context, quiet=True, **settings)


def stop_hail_and_spark(hail: Any) -> None:
    """Stop Hail and Spark, and leave Hail's HTTP server to end with Java.

    Its own end (HttpServer.stop of the JDK) would wait ten seconds for a request that no one sends.
    """
    backend, context = hail.utils.java.Env.backend(), hail.spark_context()
    for server in ("_backend_server", "_jhttp_server"):  # as 0.2.134 and as 0.2.139 call it
        if hasattr(backend, server):
            setattr(backend, server, _NothingToClose())
    hail.stop()
    context.stop()  # a newer Hail lets a Spark that it was given go on; a second stop does nothing


class _NothingToClose:
    def close(self) -> None:
        pass
