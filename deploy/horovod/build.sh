#!/usr/bin/env bash
# Build Horovod for the torch of one Python environment, keep the wheel, install it.
#
#   deploy/horovod/build.sh [python]        default: .venv/bin/python of this checkout
#
# With NCCL where CUDA is found (nvcc, and a torch with the same CUDA), with gloo on CPUs elsewhere.
# HOROVOD_GPU_OPERATIONS=NCCL asks for CUDA, HOROVOD_GPU_OPERATIONS= (empty) for CPUs. NCCL is torch's own, or the
# one that HOROVOD_NCCL_HOME, HOROVOD_NCCL_INCLUDE and HOROVOD_NCCL_LIB name, or the system's.
# EXOSHARD_CACHE moves the folder in which the finished wheel is kept.
set -euo pipefail

version=0.28.1
sha256=92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${1:-$here/../../.venv/bin/python}
gpu=${HOROVOD_GPU_OPERATIONS-where-found}
: "${HOME:=$(cd ~ && pwd)}" # unset in some containers
cache=${EXOSHARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exoshard}/wheels

say() { printf 'horovod: %s\n' "$*"; }
die() { printf 'horovod: %s\n' "$*" >&2; exit 1; }

command -v "$python" >/dev/null || die "no Python at $python; run deploy/setup.sh first"
python=$(command -v "$python")
bin=$(cd "$(dirname "$python")" && pwd)
python=$bin/$(basename "$python")
export PATH=$bin:$PATH

torch_version=$("$python" -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null) ||
    die "torch is missing in $bin; install deploy/locks/local.lock first"
platform=$("$python" -c 'import sys, sysconfig
print(f"cp{sys.version_info[0]}{sys.version_info[1]}-{sysconfig.get_platform()}")')
script_digest=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)

has_nvcc() { # its usual place is on few search paths
    export PATH=$PATH${CUDA_HOME:+:$CUDA_HOME/bin}:/usr/local/cuda/bin
    command -v nvcc >/dev/null
}

# A torch with CUDA is no CUDA to build with, nor is a toolkit of another one than torch's.
find_operations() {
    local toolkit torch_cuda
    gpu=
    has_nvcc || return 0
    torch_cuda=$("$python" -c 'import torch; print(torch.version.cuda or "")')
    toolkit=$(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    if [ -n "$torch_cuda" ] && [ "${torch_cuda%%.*}" = "${toolkit%%.*}" ]; then
        say "CUDA $toolkit is here: Horovod with NCCL"
        gpu=NCCL
    elif [ -n "$torch_cuda" ]; then
        say "nvcc is of CUDA $toolkit and torch of $torch_cuda: Horovod for CPUs"
    fi
}

case "$gpu" in
    where-found) find_operations ;;
    NCCL) has_nvcc || true ;;
    '') ;;
    *) die "HOROVOD_GPU_OPERATIONS: found $gpu, wanted NCCL, or nothing for CPUs" ;;
esac
unset HOROVOD_GPU_OPERATIONS
[ -z "$gpu" ] || export HOROVOD_GPU_OPERATIONS=$gpu
kept=$cache/horovod-$version-torch-$torch_version-$platform-${gpu:-cpu}-$script_digest

install_wheel() {
    "$python" -m pip install --quiet --no-index --no-deps --force-reinstall "$1"
    "$python" -c 'import horovod.torch' || die "the wheel $1 installed, but horovod.torch does not import"
    [ -z "$gpu" ] || "$bin/horovodrun" --check-build | grep -qF "[X] $gpu" ||
        die "horovodrun --check-build: found no [X] $gpu, wanted it from $1; remove the wheel and try again"
}

check_tools() {
    local missing=()
    command -v "${CXX:-g++}" >/dev/null || missing+=("a C++17 compiler (${CXX:-g++})")
    command -v make >/dev/null || missing+=("make")
    command -v cmake >/dev/null || missing+=("cmake (it is in deploy/locks/local.lock)")
    "$python" -c 'import setuptools, wheel' 2>/dev/null || missing+=("setuptools and wheel")
    "$python" -c 'import pathlib, sysconfig
raise SystemExit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())' ||
        missing+=("Python's headers (Python.h)")
    "$python" -m pip --version >/dev/null 2>&1 || missing+=("pip in $bin")
    [ -z "$gpu" ] || command -v nvcc >/dev/null || missing+=("nvcc, for HOROVOD_GPU_OPERATIONS=$gpu")
    [ ${#missing[@]} -eq 0 ] && return
    local list
    list=$(printf '%s; ' "${missing[@]}")
    die "cannot be built, this is missing: ${list%; }"
}

fetch_source() {
    printf 'horovod==%s --hash=sha256:%s\n' "$version" "$sha256" >"$work/horovod.txt"
    "$python" -m pip download --quiet --no-deps --no-build-isolation --no-binary horovod --require-hashes \
        -r "$work/horovod.txt" -d "$work" >"$log" 2>&1 || fail "its source could not be fetched"
    tar -xzf "$work/horovod-$version.tar.gz" -C "$work"
    local file
    for file in CMakeLists.txt horovod/torch/CMakeLists.txt; do # torch's headers need C++17
        grep -q 'CMAKE_CXX_STANDARD 14' "$source/$file" || die "$file does not ask for C++14 as $version should"
        sed -i 's/CMAKE_CXX_STANDARD 14/CMAKE_CXX_STANDARD 17/' "$source/$file"
    done
    file=third_party/flatbuffers/include/flatbuffers/stl_emulation.h # assigned to, which GCC 14 sees
    grep -q ' const size_type count_;' "$source/$file" || die "$file does not hold a const count_ as $version should"
    sed -i 's/ const size_type count_;/ size_type count_;/' "$source/$file"
    # A torch with CUDA and a part of CUDA's toolkit would start a build for GPUs that nobody asked for.
    [ -n "$gpu" ] || sed -i 's/((torch\.version\.cuda is not None)/(False and (torch.version.cuda is not None)/' \
        "$source/cmake/Modules/FindPytorch.cmake"
}

# The linker wants a name without a version, which torch's NCCL lacks.
use_nccl_of_torch() {
    local nccl
    nccl=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/nccl
    [ -z "${HOROVOD_NCCL_HOME-}${HOROVOD_NCCL_INCLUDE-}${HOROVOD_NCCL_LIB-}" ] || return 0
    [ -f "$nccl/include/nccl.h" ] && [ -f "$nccl/lib/libnccl.so.2" ] || return 0
    mkdir "$work/nccl"
    ln -s "$nccl/lib/libnccl.so.2" "$work/nccl/libnccl.so"
    export HOROVOD_NCCL_INCLUDE=$nccl/include HOROVOD_NCCL_LIB=$work/nccl HOROVOD_NCCL_LINK=SHARED
}

fail() {
    local saved
    mkdir -p "$cache"
    saved=$cache/horovod-$version-failed.log
    cp "$log" "$saved"
    # With several jobs the compiler's words stand far from the end.
    grep -m 5 -E '(error|Error): |CMake Error' "$log" >&2 || tail -n 25 "$log" >&2
    die "$1; the lines above are from $saved"
}

build_wheel() {
    local jobs pid started=$SECONDS
    jobs=$(getconf _NPROCESSORS_ONLN)
    # Its headers use names that those of GCC 13 and later don't bring along any more. The bundled gloo asks for
    # a policy version older than CMake 4 accepts.
    env CXXFLAGS="-include string -include stdexcept -include cstdint ${CXXFLAGS-}" \
        CMAKE_POLICY_VERSION_MINIMUM=3.5 MAKEFLAGS="-j$jobs" \
        HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 \
        HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1 \
        "$python" -m pip wheel -v --no-deps --no-build-isolation -w "$work/out" "$source" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        (((SECONDS - started) % 10)) || say "building, $((SECONDS - started)) s, $(progress)"
    done
    wait "$pid" || fail "the build failed"
    [ -z "$gpu" ] || grep -q 'Found NCCL (include' "$log" || fail "the build left NCCL out"
    say "built in $((SECONDS - started)) s"
}

progress() { grep -oE '\[ *[0-9]+%\]' "$log" | tail -n 1 | tr -d '[] ' | grep . || echo configuring; }

keep_wheel() {
    mkdir -p "$cache"
    local partial
    partial=$(mktemp -d "$cache/.partial-XXXXXX")
    cp "$work"/out/horovod-*.whl "$partial/"
    # Another checkout may have finished the same build first: its wheel is as good.
    mv -T "$partial" "$kept" 2>/dev/null || rm -rf "$partial"
}

if ! compgen -G "$kept/horovod-*.whl" >/dev/null; then
    check_tools
    work=$(mktemp -d "${TMPDIR:-/tmp}/horovod-build-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    source=$work/horovod-$version
    log=$work/build.log
    say "building $version for torch $torch_version (about two minutes, once per machine)"
    fetch_source
    [ -z "$gpu" ] || use_nccl_of_torch
    build_wheel
    keep_wheel
fi
wheels=("$kept"/horovod-*.whl)
install_wheel "${wheels[0]}"
say "$version is installed for torch $torch_version${gpu:+, with $gpu}"
