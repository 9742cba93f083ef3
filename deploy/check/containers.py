"""Checks of the container images' files: Hadolint, ShellCheck, and rules of our own."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from deploy.check.runner import Check, program

SHELLCHECK = ("--format=gcc", "--severity=warning", "--exclude=SC1007")
"""SC1007 takes `local value= hosts`, two empty names, for a slip."""
LABELS = ("title", "description", "licenses", "version", "revision")
STORES = ("gs", "hdfs", "s3")
"""Extras of pyproject.toml that an image has: clients of the stores where datasets and runs lie."""


def checks(root: Path) -> list[Check]:
    """All checks of the images' files."""
    return [
        Check("containers", "Dockerfiles: hadolint", partial(hadolint_faults, root), ("hadolint",)),
        Check(
            "containers",
            "Dockerfiles: user, health, labels, SBOM, bases, stores",
            partial(image_faults, root),
        ),
        Check("containers", "Dockerfiles: what they copy is there", partial(copy_faults, root)),
        Check("containers", "Dockerfiles: modules of deploy come along", partial(module_faults, root)),
        Check("containers", "scripts in images: shellcheck", partial(shell_faults, root), ("shellcheck",)),
    ]


def dockerfiles(root: Path) -> list[Path]:
    return sorted((root / "deploy").glob("*.Dockerfile"))


def hadolint_faults(root: Path) -> list[str]:
    """What Hadolint says, one line for each fault."""
    command = [program("hadolint") or "hadolint", "--no-color", *map(str, dockerfiles(root))]
    return _lines(command)


def shell_faults(root: Path) -> list[str]:
    """What ShellCheck says of the scripts that images hold or are built with."""
    names = ["setup.sh", "submit_etl.sh", "submit_train.sh", "horovod/build.sh", "kubernetes/entrypoint.sh"]
    own = ["check/environment.sh", "check/kube_apiserver/build.sh"]
    scripts = [str(root / "deploy" / name) for name in [*names, *own]]
    return _lines([program("shellcheck") or "shellcheck", *SHELLCHECK, *scripts])


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return said or ([] if done.returncode == 0 else [f"{command[0]} ended with status {done.returncode}"])


def image_faults(root: Path) -> list[str]:
    """One sentence for each rule that an image's file breaks."""
    return [
        f"{path.relative_to(root)}: {said}"
        for path in dockerfiles(root)
        for said in _image(instructions(path.read_text()))
    ]


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and its text, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(first.upper(), rest.strip()) for first, _, rest in (line.partition(" ") for line in joined)]


def _image(found: list[tuple[str, str]]) -> Iterator[str]:
    last_stage = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    stage = found[last_stage:]
    users = [text for name, text in stage if name == "USER"]
    if not users or users[-1].split(":")[0] in {"root", "0"}:
        yield f"USER: found {users[-1] if users else 'none'}, wanted a user that is not root"
    if users and not users[-1].isdigit():
        yield f"USER: found {users[-1]}, wanted a number: Kubernetes can't tell that a name is not root"
    if not any(name == "HEALTHCHECK" and text.upper() != "NONE" for name, text in stage):
        yield "HEALTHCHECK: found none, wanted one"
    labels = " ".join(text for name, text in stage if name == "LABEL")
    for label in LABELS:
        if f"org.opencontainers.image.{label}=" not in labels:
            yield f"LABEL: found no org.opencontainers.image.{label}, wanted it"
    if not any(name == "RUN" and "deploy.sbom" in text for name, text in stage):
        yield "RUN: found no step that writes the list of what is in the image, wanted python -m deploy.sbom"
    installed = " ".join(text for name, text in found if name == "RUN" and "pyproject.toml" in text)
    for extra in STORES:
        if f"--extra {extra} " not in installed:
            yield f"RUN: found no --extra {extra}, wanted it where packages are installed: a store's client"
    yield from _bases(found)


def _bases(found: list[tuple[str, str]]) -> Iterator[str]:
    """A base comes by an argument, so that its digest can be given, and the default has a version."""
    stages = {text.split()[-1] for name, text in found if name == "FROM" and " AS " in text.upper()}
    for name, text in found:
        base = text.split()[0]
        if name == "FROM" and not base.startswith("${") and "${" not in base and base not in stages:
            yield f"FROM: found {base}, wanted an argument, so that a build can pin the digest"
        if name == "ARG" and text.partition("=")[0].endswith("BASE") and "=" in text:
            tag = text.partition("=")[2].partition("@")[0].rpartition("/")[2].partition(":")[2]
            if tag in {"", "latest"}:
                yield f"ARG {text}: found no version, wanted a tag or a digest"


def copy_faults(root: Path) -> list[str]:
    """Files that an image copies from the checkout and that are not there."""
    return [
        f"{path.relative_to(root)}: COPY: found no {source} in the checkout"
        for path in dockerfiles(root)
        for name, text in instructions(path.read_text())
        if name == "COPY" and "--from=" not in text
        for source in text.split()[:-1]
        if not (root / source).exists()
    ]


def copied(root: Path, dockerfile: Path) -> set[Path]:
    """The files that an image copies from the checkout, below the checkout."""
    sources = [
        root / source
        for name, text in instructions(dockerfile.read_text())
        if name == "COPY" and "--from=" not in text
        for source in text.split()[:-1]
    ]
    files = [path for source in sources for path in (source, *source.rglob("*")) if path.is_file()]
    return {path.relative_to(root) for path in files}


def module_faults(root: Path) -> list[str]:
    """Modules of deploy that an image calls, or that those import, and that it does not copy."""
    faults = []
    for path in dockerfiles(root):
        files = copied(root, path)
        todo = [(path.relative_to(root), name) for name in called_modules(path)]
        todo += [(file, name) for file in sorted(files) for name in called_modules(root / file)]
        seen = set[str]()
        while todo:
            by, name = todo.pop(0)
            module = Path(*name.split(".")).with_suffix(".py")
            if name in seen:
                continue
            seen.add(name)
            if module not in files:
                faults.append(f"{path.relative_to(root)}: COPY: found no {module}, wanted it: {by} needs it")
            if (root / module).is_file():
                todo += [(module, one) for one in imported_modules(root / module)]
    return faults


def called_modules(path: Path) -> list[str]:
    """The modules of deploy that a script or a Dockerfile calls by `python -m`."""
    if path.suffix not in (".sh", ".Dockerfile"):
        return []
    return list(dict.fromkeys(re.findall(r"-m (deploy(?:\.\w+)+)", path.read_text())))


def imported_modules(path: Path) -> list[str]:
    """The modules of deploy that a module imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "deploy":
            names += [f"deploy.{one.name}" for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name for name in dict.fromkeys(names) if name.startswith("deploy.")]
