"""The manifests: judged by Kubernetes' own schemas, and by what Hookline needs of them."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from domain import settings as reading
from domain.database import POOL_SIZE
from domain.settings import Settings, variable_of
from domain.version import VERSION
from workers.health import READY_SECONDS

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
# The supported releases of Kubernetes, and a little more.
RELEASES = ("1.29", "1.32", "1.35")
KUSTOMIZATION = "kustomization.yaml"


def documents() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(MANIFESTS.glob("*.yaml"))
        if path.name != KUSTOMIZATION
        for document in yaml.safe_load_all(path.read_text())
    ]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> dict[str, dict[str, Any]]:
    """The pod templates, by the name of the Deployment or Job."""
    makers = [document for document in documents() if document["kind"] in {"Deployment", "Job"}]
    return {maker["metadata"]["name"]: maker["spec"]["template"] for maker in makers}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("document", documents(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_kubernetes_takes_the_manifest(document: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(document, release, strict=True)


def test_the_judge_refuses_what_is_wrong() -> None:
    wrong = named("Deployment", "hookline-api")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_all_of_it_is_applied_in_one_namespace_with_the_image_of_this_version() -> None:
    kustomization = yaml.safe_load((MANIFESTS / KUSTOMIZATION).read_text())
    assert set(kustomization["resources"]) == {path.name for path in MANIFESTS.glob("*.yaml")} - {KUSTOMIZATION}
    assert kustomization["images"][0]["newTag"] == VERSION
    for document in documents():
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "hookline"
    for pod in pods().values():
        assert pod["spec"]["containers"][0]["image"] == f"hookline:{VERSION}"


def test_an_upgrade_runs_the_migration_of_the_image_that_was_set_and_nothing_before_it() -> None:
    told = (ROOT / "docs" / "operations.md").read_text() + "".join(path.read_text() for path in MANIFESTS.iterdir())
    assert not re.findall(r"kubectl [^\n]*(?:-f|--filename)\b.*", told), "kustomize puts no image into a lone file"
    label, value = re.findall(r"kubectl apply -k deploy/kubernetes --selector (\S+)=(\S+)", told)[0]
    applied = [each["kind"] for each in documents() if each["metadata"].get("labels", {}).get(label) == value]
    assert applied == ["Job"]


def test_the_settings_are_settings_and_can_be_read(tmp_path: Path) -> None:
    told = named("ConfigMap", "hookline")["data"]
    known = {variable_of(name) for name in Settings.__dataclass_fields__}
    assert {name.removesuffix("_FILE") for name in told} <= known
    secrets = {
        "HOOKLINE_DATABASE_URL_FILE": "postgresql://h@db/h",
        "HOOKLINE_REDIS_URL_FILE": "redis://r",
        "HOOKLINE_SECRET_KEYS_FILE": "A" * 43 + "=",
    }
    assert {name for name in told if name.endswith("_FILE")} == set(secrets)
    for name, text in secrets.items():
        assert Path(told[name]).parent == Path("/run/secrets/hookline")
        (tmp_path / name).write_text(text)
    values, faults = reading.read(told | {name: str(tmp_path / name) for name in secrets})
    assert not faults
    settings = Settings(**values)
    assert {settings.port, settings.metrics_port} == {port for pod in pods().values() for port in ports(pod)}


def ports(pod: dict[str, Any]) -> list[int]:
    return [port["containerPort"] for port in pod["spec"]["containers"][0].get("ports", ())]


def test_every_command_exists() -> None:
    for name, pod in pods().items():
        program, *arguments = pod["spec"]["containers"][0]["command"]
        assert program == "hookline", name
        assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0, name


def test_no_pod_may_do_more_than_it_must_or_take_all_there_is() -> None:
    for name, pod in pods().items():
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001, name
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False, "a service named hookline would set HOOKLINE_PORT"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"], name
        assert container["resources"]["requests"]["cpu"], name


@pytest.mark.parametrize("name", ["api", "worker"])
def test_one_goes_only_when_another_is_ready_and_may_finish_what_it_does(name: str) -> None:
    deployment = named("Deployment", f"hookline-{name}")
    spec, pod = deployment["spec"], deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness")} == {"/healthz"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    deadline = timedelta(seconds=float(named("ConfigMap", "hookline")["data"]["HOOKLINE_SHUTDOWN_DEADLINE"]))
    hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["0"])[-1]
    pause = int(re.findall(r"\d+", hook)[-1])
    assert pod["terminationGracePeriodSeconds"] >= deadline.total_seconds() + pause + 10
    budget = named("PodDisruptionBudget", f"hookline-{name}")["spec"]
    scaler = named("HorizontalPodAutoscaler", f"hookline-{name}")["spec"]
    assert budget["minAvailable"] < scaler["minReplicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert "replicas" not in spec, "applying it would undo what the autoscaler has done"
    assert budget["selector"] == spec["selector"]
    assert spec["selector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_postgresql_is_said_to_need_connections_for_all_pods_that_there_may_be() -> None:
    most = sum(each["spec"]["maxReplicas"] for each in documents() if each["kind"] == "HorizontalPodAutoscaler")
    surge = sum(
        each["spec"]["strategy"]["rollingUpdate"]["maxSurge"] for each in documents() if each["kind"] == "Deployment"
    )
    told = re.findall(r"`max_connections` of (\d+)", (ROOT / "docs" / "operations.md").read_text())
    assert [int(number) >= (most + surge + 1) * POOL_SIZE for number in told] == [True]


def test_workers_are_scaled_by_how_late_deliveries_are() -> None:
    spec = named("HorizontalPodAutoscaler", "hookline-worker")["spec"]
    (metric,) = spec["metrics"]
    assert metric["external"]["metric"]["name"] == "hookline_oldest_due_seconds"
    assert spec["minReplicas"] >= 2
    # The autoscaler does not count workers that are not ready, so it must not scale down faster than they become ready.
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] > READY_SECONDS


def test_the_adapter_is_told_what_the_autoscaler_asks_for() -> None:
    [block] = re.findall(r"```yaml\n(externalRules:.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    [rule] = yaml.safe_load(block)["externalRules"]
    [metric] = named("HorizontalPodAutoscaler", "hookline-worker")["spec"]["metrics"]
    assert rule["name"]["as"] == rule["seriesQuery"] == metric["external"]["metric"]["name"]
    # The adapter is asked within a namespace, and refuses each question if it knows no label for that.
    assert {"resource": "namespace"} in rule.get("resources", {}).get("overrides", {}).values()
