"""What spark-submit runs, which wants a file where `python -m etl` names a package."""

import runpy

runpy.run_module("etl", run_name="__main__", alter_sys=True)
