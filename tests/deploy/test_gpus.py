"""`submit_train.sh --gpus` and Horovod's build with NCCL, told from fakes: no GPU is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.gpus import Found, missing

PROJECT = Path(__file__).resolve().parents[2]
ECHO = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(PROJECT / "deploy" / script), *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Found(), "found no torch, wanted the Python of training's environment"),
        (Found(torch="2.13.0"), "found torch 2.13.0 built for CPUs, wanted a build with CUDA"),
        (
            Found(torch="2.13.0", cuda="13.0", nccl="no"),
            "found no NVIDIA driver (nvidia-smi does not answer), wanted 2 GPUs",
        ),
        (Found(torch="2.13.0", cuda="13.0", listed=0), "found a driver and no GPU, wanted 2"),
        (
            Found(torch="2.13.0", cuda="13.0", listed=4),
            "found 4 GPUs in nvidia-smi and none that torch can use, wanted 2; see that the driver is new",
        ),
        (Found(torch="2.13.0", cuda="13.0", usable=1, listed=4), "found 1 GPUs that torch can use, wanted 2"),
        (
            Found(torch="2.13.0", cuda="13.0", usable=2, nccl="found Horovod built without NCCL"),
            "found Horovod built without NCCL; build it by HOROVOD_GPU_OPERATIONS=NCCL",
        ),
    ],
)
def test_missing__what_is_to_be_mended_first(found: Found, told: str):
    assert missing(found, 2, "horovodrun").startswith(told)


def test_missing__nothing():
    assert missing(Found(torch="2.13.0", cuda="13.0", usable=2, listed=2, nccl=""), 2, "horovodrun") == ""
    # In a container without nvidia-smi torch's own count holds.
    assert missing(Found(torch="2.13.0", cuda="13.0", usable=2, nccl=""), 2, "torchrun") == ""
    # GPUs of other hosts: only the packages are looked at.
    assert missing(Found(torch="2.13.0", cuda="13.0", nccl=""), 0, "horovodrun") == ""
    assert missing(Found(torch="2.13.0", cuda="13.0", nccl="no NCCL"), 0, "torchrun").startswith("no NCCL; ")


@pytest.fixture
def fake_machine(tmp_path):
    """Return a function that plays torch, Horovod and nvidia-smi, and gives what `deploy.gpus` then says."""
    executable(
        tmp_path / "bin" / "nvidia-smi", "#!/bin/sh\necho 'GPU 0: NVIDIA H100'\necho 'GPU 1: NVIDIA H100'\n"
    )

    def play(*arguments: str, usable: int = 2, torch_nccl: bool = True, horovod: str) -> tuple[int, str]:
        texts = {
            "torch/__init__.py": "class version:\n"
            "    cuda = '13.0'\n"
            "class cuda:\n"
            f"    is_available = staticmethod(lambda: {usable} > 0)\n"
            f"    device_count = staticmethod(lambda: {usable})\n"
            "__version__ = '2.13.0'\n",
            "torch/distributed.py": "def is_available(): return True\n"
            f"def is_nccl_available(): return {torch_nccl}\n",
            "horovod/__init__.py": "",
            "horovod/torch.py": horovod,
        }
        for name, text in texts.items():
            executable(tmp_path / "fake" / name, text)
        done = subprocess.run(
            [sys.executable, "-B", "-m", "deploy.gpus", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": f"{tmp_path}/fake",
                "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            },
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return play


WITH_NCCL = "def nccl_built(): return True\n"


@pytest.mark.parametrize("launcher", ["horovodrun", "torchrun"])
def test_gpus__a_machine_that_is_ready(fake_machine, launcher: str):
    assert fake_machine("2", launcher, horovod=WITH_NCCL) == (0, "")


@pytest.mark.parametrize(
    ("horovod", "told"),
    [
        (
            "def nccl_built(): return False\n",
            "found Horovod built without NCCL, wanted it for sums over GPUs; build it",
        ),
        (
            "raise ImportError('libcudart.so.13: no such')\n",
            "found a Horovod that does not load (libcudart.so.13: no",
        ),
    ],
)
def test_gpus__horovod_without_nccl_and_a_broken_one(fake_machine, horovod: str, told: str):
    status, text = fake_machine("2", "horovodrun", horovod=horovod)
    assert (status, text.count("\n")) == (2, 1)
    assert text.startswith(told)
    assert fake_machine("2", "torchrun", horovod=horovod) == (0, "")


def test_gpus__torch_without_nccl(fake_machine):
    status, text = fake_machine("2", "torchrun", torch_nccl=False, horovod=WITH_NCCL)
    assert status == 2
    assert text.startswith(
        "found torch built without NCCL, wanted it for sums over GPUs; install a build of torch"
    )


def test_gpus__a_driver_that_does_not_answer(fake_machine, tmp_path):
    told = "found 2 GPUs in nvidia-smi and none that torch can use"
    assert fake_machine("2", "torchrun", usable=0, horovod=WITH_NCCL)[1].startswith(told)
    executable(tmp_path / "bin" / "nvidia-smi", "#!/bin/sh\necho 'has failed'\nexit 9\n")
    told = "found no NVIDIA driver (nvidia-smi does not answer), wanted 2 GPUs"
    assert fake_machine("2", "torchrun", usable=0, horovod=WITH_NCCL)[1].startswith(told)


def test_gpus__words_that_it_does_not_know(fake_machine):
    status, text = fake_machine("two", "torchrun", horovod=WITH_NCCL)
    assert (status, text) == (2, "found two torchrun, wanted the number of GPUs and horovodrun or torchrun\n")


def ready_python(folder: Path) -> Path:
    """A Python and a horovodrun that print their arguments, on a host where nothing is missing."""
    executable(folder / "horovodrun", ECHO)
    return executable(folder / "python", '#!/bin/sh\n[ "$2" = deploy.gpus ] || printf "%s\\n" "$@"\n')


def test_submit_train__gpus_give_horovodrun_one_rank_each(tmp_path):
    python = ready_python(tmp_path)
    done = run("submit_train.sh", "--gpus", "4", "--timeline", "t", "x.yaml", "seed=3", PYTHON=str(python))
    words = done.stdout.splitlines()
    assert words[:5] == ["--gloo", "--timeline", "t", "-np", "4"], done.stderr
    assert words[-2:] == ["run.device=cuda", "seed=3"]


def test_submit_train__gpus_give_torchrun_one_rank_each(tmp_path):
    python = ready_python(tmp_path)
    done = run("submit_train.sh", "--gpus=2", "x.yaml", PYTHON=str(python), LAUNCHER="torchrun")
    assert done.stdout.splitlines()[2:5] == ["--standalone", "--nproc-per-node", "2"], done.stderr
    options = ("--nnodes", "2", "--nproc_per_node", "8")
    done = run("submit_train.sh", "--gpus=8", *options, "x.yaml", PYTHON=str(python), LAUNCHER="torchrun")
    assert done.stdout.splitlines()[2:7] == [*options, "-m"], done.stderr


def test_submit_train__gpus_of_other_hosts(tmp_path):
    executable(tmp_path / "horovodrun", ECHO)
    python = executable(tmp_path / "python", f'#!/bin/sh\necho "$@" >"{tmp_path}/asked"\n')
    hosts = ("-np", "4", "-H", "a:2,b:2")
    done = run("submit_train.sh", "--gpus", "2", *hosts, "x.yaml", PYTHON=str(python))
    assert done.stdout.splitlines()[1:5] == [*hosts], done.stderr
    assert (tmp_path / "asked").read_text() == "-m deploy.gpus 0 horovodrun\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--gpus"], "--gpus: found nothing, wanted the number of GPUs of a host"),
        (["--gpus", "all"], "--gpus: found all, wanted the number"),
        (["--gpus=0"], "--gpus: found 0, wanted the number"),
        (["--gpus", "2", "-np", "4"], "found 4 ranks and --gpus 2, wanted one rank for each GPU"),
        (["--gpus", "2", "-H", "a:2,b:2"], "found --gpus for many hosts without -np"),
    ],
)
def test_submit_train__gpus_that_make_no_sense(tmp_path, options: list[str], told: str):
    arguments = options if options == ["--gpus"] else [*options, "x.yaml"]
    done = run("submit_train.sh", *arguments, PYTHON=str(ready_python(tmp_path)))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"submit_train: {told}" in done.stderr


def test_submit_train__gpus_that_are_missing_start_no_rank(tmp_path):
    executable(tmp_path / "horovodrun", ECHO)
    python = executable(
        tmp_path / "python", "#!/bin/sh\necho 'found no NVIDIA driver, wanted 2 GPUs'\nexit 2\n"
    )
    done = run("submit_train.sh", "--gpus", "2", "x.yaml", PYTHON=str(python))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "submit_train: --gpus 2: found no NVIDIA driver, wanted 2 GPUs\n"


def test_submit_train__gpus_on_this_machine_without_one():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run("submit_train.sh", "--gpus", "1", "x.yaml", PYTHON=sys.executable, LAUNCHER="torchrun")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("submit_train: --gpus 1: found ")
    assert "built for CPUs" in done.stderr or "driver" in done.stderr


FOUND_NCCL = "-- Found NCCL (include: /usr/include, library: /usr/lib64/libnccl.so)"


@pytest.fixture
def fake_build(tmp_path):
    """Return a function that plays a build of Horovod with CUDA: its log, and what the installed one says."""

    def play(log: str, check: str, *, cuda: str = "13.0", **environment: str):
        source = tmp_path / "horovod-0.28.1"
        for name in ("CMakeLists.txt", "horovod/torch/CMakeLists.txt"):
            executable(source / name, "set(CMAKE_CXX_STANDARD 14)\n")
        executable(source / "cmake/Modules/FindPytorch.cmake", "((torch.version.cuda is not None)")
        spans = "third_party/flatbuffers/include/flatbuffers/stl_emulation.h"
        executable(source / spans, "  const size_type count_;\n")
        nccl = tmp_path / "site" / "nvidia" / "nccl"
        executable(nccl / "include" / "nccl.h", "")
        executable(nccl / "lib" / "libnccl.so.2", "")
        bin = tmp_path / "bin"
        executable(bin / "nvcc", "#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.48'\n")
        executable(bin / "horovodrun", f"#!/bin/sh\necho '{check}'\n")
        executable(bin / "cmake", "#!/bin/sh\n")
        executable(bin / "c++", "#!/bin/sh\n")
        python = executable(
            bin / "python",
            f"""#!/bin/sh
case "$*" in
    *'version("torch")'*) echo 2.13.0 ;;
    *get_platform*) echo cp311-linux ;;
    *torch.version.cuda*) echo '{cuda}' ;;
    *purelib*) echo '{tmp_path}/site' ;;
    *'pip download'*) while [ "$1" != -d ]; do shift; done
        tar -czf "$2/horovod-0.28.1.tar.gz" -C '{tmp_path}' horovod-0.28.1 ;;
    *'pip wheel'*) while [ "$1" != -w ]; do shift; done
        echo '{log}'; env | grep HOROVOD_ >'{tmp_path}/asked'
        mkdir "$2"; touch "$2/horovod-0.28.1-cp311.whl" ;;
esac
""",
        )
        return run(
            "horovod/build.sh", str(python), EXOSHARD_CACHE=str(tmp_path / "cache"), CXX="c++", **environment
        )

    return play


def test_horovod_build__takes_nccl_where_cuda_is_found(fake_build, tmp_path):
    done = fake_build(FOUND_NCCL, "[X] NCCL")
    assert done.returncode == 0, done.stderr
    assert "horovod: CUDA 13.0 is here: Horovod with NCCL" in done.stdout
    asked = (tmp_path / "asked").read_text()
    assert "HOROVOD_GPU_OPERATIONS=NCCL\n" in asked
    assert f"HOROVOD_NCCL_INCLUDE={tmp_path}/site/nvidia/nccl/include\n" in asked
    assert "0.28.1 is installed for torch 2.13.0, with NCCL" in done.stdout


def test_horovod_build__a_log_without_nccl_keeps_no_wheel(fake_build, tmp_path):
    done = fake_build("-- Build architecture flags: -march=native", "[ ] NCCL")
    assert done.returncode == 1
    assert "horovod: the build left NCCL out" in done.stderr
    assert not list((tmp_path / "cache").glob("wheels/*/*.whl"))


def test_horovod_build__an_installed_horovod_without_nccl(fake_build):
    done = fake_build(FOUND_NCCL, "[ ] NCCL")
    assert done.returncode == 1
    assert "horovodrun --check-build: found no [X] NCCL" in done.stderr


@pytest.mark.parametrize("cuda", ["", "12.9"], ids=["torch for CPUs", "another CUDA than torch's"])
def test_horovod_build__for_cpus_where_torch_does_not_fit_the_cuda(fake_build, tmp_path, cuda: str):
    done = fake_build("-- gloo", "[ ] NCCL", cuda=cuda)
    assert done.returncode == 0, done.stderr
    assert "HOROVOD_GPU_OPERATIONS" not in (tmp_path / "asked").read_text()
    assert ("nvcc is of CUDA 13.0 and torch of 12.9" in done.stdout) == (cuda != "")


def test_horovod_build__for_cpus_when_asked(fake_build, tmp_path):
    done = fake_build("-- gloo", "[ ] NCCL", HOROVOD_GPU_OPERATIONS="")
    assert done.returncode == 0, done.stderr
    assert "HOROVOD_GPU_OPERATIONS=NCCL" not in (tmp_path / "asked").read_text()


def test_horovod_build__operations_that_it_does_not_know(fake_build):
    done = fake_build("", "", HOROVOD_GPU_OPERATIONS="MPI")
    assert done.returncode == 1
    assert "HOROVOD_GPU_OPERATIONS: found MPI, wanted NCCL, or nothing for CPUs" in done.stderr
