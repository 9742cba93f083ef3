import copy
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contract.config import load_config
from deploy.check import kubernetes, manifests, security
from deploy.check.manifests import Manifest
from deploy.check.runner import outcome
from etl.config import EtlConfig
from tests.deploy.validators import validators
from train.config import TrainConfig

PROJECT = Path(__file__).resolve().parents[2]
POD = "spec.template.spec"


def base(kind: str) -> Manifest:
    """The first object of a kind in the base."""
    files = manifests.base_files(PROJECT).values()
    return copy.deepcopy(next(one for objects in files for one in objects if one["kind"] == kind))


def job_pod() -> tuple[Manifest, Manifest]:
    job = base("Job")
    return job, job["spec"]["template"]["spec"]


def test_base_files__hold_every_kind_that_runs():
    kinds = {one["kind"] for objects in manifests.base_files(PROJECT).values() for one in objects}
    assert kinds >= {"SparkApplication", "MPIJob", "Job", "Service", "PersistentVolumeClaim", "Namespace"}


def test_base_files__every_object_belongs_to_a_part_that_can_be_applied_alone():
    parts = [
        one["metadata"]["labels"]["part"]
        for objects in manifests.base_files(PROJECT).values()
        for one in objects
    ]
    assert set(parts) == {"setup", "etl", "horovod", "elastic", "torchrun"}


def test_configurations__are_taken_by_the_programs_with_the_arguments_of_the_manifests():
    folder = PROJECT / "deploy/kubernetes/base/configuration"
    etl = load_config(EtlConfig, folder / "etl.yaml", ["data=/data/inputs", "out=/data/cohort"])
    train = load_config(
        TrainConfig, folder / "train.yaml", ["data.dataset=/data/cohort/dataset", "run.out=/data/run"]
    )
    assert str(etl.out) == "/data/cohort"
    assert train.data.reader == "arrow"


def test_security__our_files_have_no_fault():
    assert kubernetes.judge_all(lambda: manifests.base_files(PROJECT), security.faults) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"securityContext": {}}, r"runAsNonRoot: found None, wanted true"),
        ({"hostNetwork": True}, r"hostNetwork: found True, wanted none"),
        ({"automountServiceAccountToken": True}, r"automountServiceAccountToken: found True, wanted false"),
        ({"terminationGracePeriodSeconds": 5}, r"found 5, wanted at least 30"),
        ({"volumes": [{"name": "tmp", "emptyDir": {}}]}, r"volumes\.tmp: found no sizeLimit"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, r"volumes\.root: found hostPath"),
        ({"containers": []}, r"containers: found none, wanted one"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_security__a_pod_that_breaks_a_rule(change, said):
    job, pod = job_pod()
    pod.update(change)
    assert re.search(rf"Job/exoshard-torchrun: {POD}\..*{said}", "\n".join(security.faults("f", job)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"readOnlyRootFilesystem": False}, "readOnlyRootFilesystem: found False, wanted true"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation: found True, wanted false"),
        ({"privileged": True}, "privileged: found true, wanted none"),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}, "wanted drop: [ALL] alone"),
        ({"runAsUser": 0}, "found the user root"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_security__a_container_that_breaks_a_rule(change, said):
    job, pod = job_pod()
    pod["containers"][0]["securityContext"].update(change)
    [fault] = security.faults("f", job)
    assert said in fault


def test_security__a_container_without_limits():
    job, pod = job_pod()
    del pod["containers"][0]["resources"]["limits"]["memory"]
    [fault] = security.faults("f", job)
    assert fault.endswith("containers.train: resources.limits.memory: found none, wanted one")


def test_security__no_place_for_temporary_files():
    job, pod = job_pod()
    pod["containers"][0]["volumeMounts"] = []
    [fault] = security.faults("f", job)
    assert "found no emptyDir at /tmp" in fault


def test_security__spark_without_a_limit():
    application = base("SparkApplication")
    del application["spec"]["executor"]["coreLimit"]
    [fault] = security.faults("f", application)
    assert fault.endswith("spec.executor.coreLimit: found none, wanted one")


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "AWS_SECRET_ACCESS_KEY", "value": "anything"},
        {"name": "DATABASE_PASSWORD", "value": "hunter2"},
        {"name": "ID", "value": "AKIA" + "A1B2" * 4},
    ],
    ids=["name", "password", "value"],
)
def test_security__a_secret_in_the_environment(entry):
    job, pod = job_pod()
    pod["containers"][0]["env"].append(entry)
    [fault] = security.faults("f", job)
    assert f"{POD}.containers.0.env" in fault
    assert entry["value"] not in fault


def test_security__a_key_among_the_settings_of_spark():
    application = base("SparkApplication")
    application["spec"]["sparkConf"]["spark.hadoop.fs.s3a.secret.key"] = "abc"
    [fault] = security.faults("f", application)
    assert "found a value written out" in fault
    assert "abc" not in fault


def test_security__an_object_of_kind_secret():
    assert "found Secret" in security.faults("f", {"kind": "Secret", "metadata": {"name": "s"}})[0]


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("MPIJob", "spec.slotPerWorker", 1, r"'slotPerWorker' was unexpected"),
        ("MPIJob", "spec.mpiReplicaSpecs.Worker.replicas", "two", r"'two' is not of type 'integer'"),
        ("MPIJob", "spec.runPolicy.cleanPodPolicy", "Sometimes", r"'Sometimes' is not one of"),
        ("SparkApplication", "spec.executor.instanses", 2, r"'instanses' was unexpected"),
        ("SparkApplication", "spec.executor.memory", "16", r"'16' does not match"),
        ("SparkApplication", "spec.sparkVersion", "4.0.0", r"'4.0.0' does not match"),
    ],
)
def test_custom_faults__a_planted_fault(kind, path, value, said):
    pytest.importorskip("jsonschema")
    manifest = base(kind)
    assert kubernetes.custom_faults("f", manifest) == []
    *parents, last = path.split(".")
    place = manifest
    for name in parents:
        place = place[name]
    place[last] = value
    [fault] = kubernetes.custom_faults("f", manifest)
    assert re.search(said, fault)


def test_left_over__a_placeholder_is_found_and_a_name_is_not():
    text = "image: etl\n- data=INPUTS\n  value: RUN\n- name: RUN\nimage: host/etl:1\n- run.out=$(RUN)\n"
    assert kubernetes.left_over(text, {"INPUTS": "", "RUN": ""}) == [
        "image: etl",
        "- data=INPUTS",
        "value: RUN",
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of what the checks read, in a checkout of its own."""
    for name in ("deploy/kubernetes", "deploy/check"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    return tmp_path


def test_checks__a_file_that_is_no_yaml_is_a_fault_with_its_line(checkout):
    edit(checkout / "deploy/kubernetes/base/etl.yaml", "  mode: cluster\n", "  mode: [cluster\n")
    [check] = [
        one
        for one in kubernetes.checks(checkout)
        if one.name == "files: non-root, read-only, limits, no secret"
    ]
    [fault] = outcome(check).faults
    assert "could not be checked: ParserError" in fault
    assert "line 12" in fault


def test_value_faults__a_value_without_an_example(checkout):
    assert kubernetes.value_faults(checkout) == []
    with open(checkout / "deploy/kubernetes/values.env", "a") as values:
        values.write("QUEUE=CHANGE-ME\n")
    [fault] = kubernetes.value_faults(checkout)
    assert fault.endswith("values.example.env: QUEUE: found nothing, wanted an example")


def test_elastic__hosts_come_from_the_operator_and_have_slots():
    [objects] = [found for path, found in manifests.base_files(PROJECT).items() if "elastic" in path]
    launcher = objects[0]["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    arguments = " ".join(launcher["args"])
    assert "--host-discovery-script /etc/mpi/discover_hosts.sh" in arguments
    assert "--slots-per-host" in arguments


def test_sshd__port_and_account_fit_the_manifests():
    settings = dict(
        line.split(maxsplit=1)
        for line in (PROJECT / "deploy/kubernetes/ssh/sshd_config").read_text().splitlines()
        if not line.startswith("#")
    )
    job = base("MPIJob")
    worker = job["spec"]["mpiReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    launcher = job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    assert worker["ports"][0]["containerPort"] == int(settings["Port"]) > 1024
    assert launcher["args"][launcher["args"].index("-p") + 1] == settings["Port"]
    assert settings["HostKey"] == f"{job['spec']['sshAuthMountPath']}/id_rsa"


def check(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [validators(), "-m", "deploy.check", "--only", "kubernetes"],
        cwd=root,
        env={**os.environ, "EXOSHARD_CRDS": str(root / "none"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("train-torchrun.yaml", "backoffLimit: 12", "backofLimit: 12", r"Job/.*backofLimit"),
        ("train-torchrun.yaml", "completions: 2", "completions: two", r"Job/.*spec\.completions.*'two'"),
        ("train-horovod.yaml", "readinessProbe", "readynessProbe", r"MPIJob/.*Worker.*readynessProbe"),
        ("etl.yaml", "workingDir", "workDir", r"SparkApplication/.*workDir"),
    ],
)
def test_builtin_faults__a_planted_fault(checkout, file, before, after, said):
    edit(checkout / "deploy/kubernetes/base" / file, before, after)
    done = check(checkout)
    assert done.returncode == 1
    assert re.search(rf"deploy-check: deploy/kubernetes/base/{file}: {said}", done.stderr)


@pytest.mark.slow
def test_style_faults__a_key_that_stands_twice(checkout):
    edit(
        checkout / "deploy/kubernetes/base/etl.yaml",
        "  mode: cluster\n",
        "  mode: cluster\n  mode: cluster\n",
    )
    assert 'duplication of key "mode"' in check(checkout).stderr


@pytest.mark.slow
def test_overlays__one_that_cannot_be_rendered(checkout):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    edit(checkout / "deploy/kubernetes/components/gpu/kustomization.yaml", "exoshard-pool", "pool")
    done = check(checkout)
    assert done.returncode == 1
    assert "deploy/kubernetes/overlays/volumes-gpu: found " in done.stderr
    assert "left out: the custom kinds' definitions were not found" in done.stdout


@pytest.mark.slow
def test_overlays__a_value_that_does_not_arrive(checkout):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    edit(checkout / "deploy/kubernetes/base/replacements/images.yaml", "kind: Job}", "kind: Jobb}")
    done = check(checkout)
    assert "found 'image: train', wanted a value of values.env there" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("train-horovod.yaml", "slotsPerWorker", "slotPerWorker", r'unknown field "spec.slotPerWorker"'),
        (
            "etl.yaml",
            "shuffleTrackingEnabled",
            "shuffleTracking",
            r'unknown field "spec.dynamicAllocation.shuffle',
        ),
        ("etl.yaml", "type: OnFailure", "type: Sometimes", r"Unsupported value: \"Sometimes\""),
        # What only the server knows: the standard that the namespace enforces, of pods in custom kinds too.
        (
            "train-elastic.yaml",
            "drop: [ALL]",
            "drop: [KILL]",
            r"violates PodSecurity \"restricted.*elastic|elastic.*PodSec",
        ),
        ("train-torchrun.yaml", "parallelism: 2", "parallelism: -1", r"spec.parallelism"),
    ],
)
def test_api_server__a_planted_fault(checkout, file, before, after, said):
    named = os.environ.get("EXOSHARD_CRDS", "")
    definitions = Path(named) if named else next(PROJECT.parent.glob("shared/data/*kubernetes_crds"), None)
    if definitions is None:
        pytest.skip("the custom kinds' definitions are not there; EXOSHARD_CRDS names their folder")
    for tool in ("kubectl", "etcd", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    edit(checkout / "deploy/kubernetes/base" / file, before, after)
    done = check(checkout, EXOSHARD_CRDS=str(definitions))
    if "a real API server" in done.stdout and re.search(r"a real API server.*left out", done.stdout):
        pytest.skip("the API server could not be built")
    assert done.returncode == 1
    assert re.search(r"a real API server +[\d.]+ +\d+ fault", done.stdout), done.stdout
    assert re.search(said, done.stderr), done.stderr


def test_values__what_the_replacements_name_stands_in_the_file():
    named = set()
    for path in (PROJECT / "deploy/kubernetes").rglob("*.yaml"):
        named |= set(re.findall(r"fieldPath: data\.([A-Z_]+)", path.read_text()))
    assert named == set(kubernetes.read_values(PROJECT / "deploy/kubernetes/values.env"))
