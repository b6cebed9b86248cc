"""Every metric that is documented, drawn or alerted on exists, and every one that exists is documented."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from api.metrics import CODES, Metrics
from domain.backlog import Backlog
from domain.outlet import Outlet
from domain.vocabulary import AttemptOutcome, WebhookDisabledReason
from workers import metrics as of_workers

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "hookline.json"
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
TIME = {"type": "string", "pattern": r"^(\d+[smhd])+$"}
# The fields of a rule that Prometheus knows; it refuses a file with any other.
RULE = {
    "type": "object",
    "required": ["alert", "expr"],
    "additionalProperties": False,
    "properties": {
        "alert": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"}, "expr": {"type": "string"}, "for": TIME,
        "keep_firing_for": TIME, "labels": TEXTS, "annotations": TEXTS,
    },
}  # fmt: skip
TEMPLATE = r"\{\{ \$(value|labels\.\w+)( \| (humanize(Duration|Percentage)|printf \"%.0f\"))? \}\}"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


class Nobody:
    """No connections and no feeds."""

    members = 0

    def __len__(self) -> int:
        return 0


def families(registry: CollectorRegistry) -> list[Metric]:
    return [metric for metric in registry.collect() if metric.name.startswith("hookline_")]


def shown_by_the_api() -> list[Metric]:
    api = Metrics()
    api.watch(Nobody(), Nobody(), lambda: 0)
    return families(api.registry)


@pytest.fixture(scope="module")
def existing() -> list[Metric]:
    """All metrics of both processes. The worker's are registered once for the whole process, as in production."""
    outlet = Outlet.__new__(Outlet)
    outlet.dropped = 0
    of_workers.watch(outlet, lambda: 0)
    of_workers.tell(Backlog(0, timedelta(), in_flight=0, circuits_open=0, due_posts=0, oldest_due_post=timedelta()))
    return [*families(of_workers.REGISTRY), *shown_by_the_api()]


def full_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def series(metrics: Iterable[Metric]) -> set[str]:
    return {metric.name + suffix for metric in metrics for suffix in SUFFIXES[metric.type]}


def test_the_documented_metrics_are_those_that_exist(existing: list[Metric]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `(hookline_\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert set(documented) == {(full_name(metric), metric.type) for metric in existing}


def test_the_dashboard_and_the_alerts_ask_for_series_that_exist(existing: list[Metric]) -> None:
    known = series(existing)
    for path in (ALERTS, DASHBOARD):
        asked = {name for expression in expressions(path) for name in re.findall(r"hookline_\w+", expression)}
        assert asked <= known, path
    drawn = {name for expression in expressions(DASHBOARD) for name in re.findall(r"hookline_\w+", expression)}
    for metric in existing:
        assert any(name.startswith(metric.name) for name in drawn), f"{metric.name} is on no panel"


def test_labels_that_are_asked_for_exist(existing: list[Metric]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    labels = set(
        re.findall(r"\w+", " ".join(re.findall(r"^\| `hookline_\w+` \| \w+ \| ([^|]*)\|", page, re.MULTILINE)))
    )
    for path in (ALERTS, DASHBOARD):
        for expression in expressions(path):
            by = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", group)}
            matched = set(re.findall(r"[{,](\w+)[=!]~?", expression))
            assert by | matched <= labels | {"le"}, expression


def expressions(path: Path) -> list[str]:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(text for name, text in value.items() if name == "expr")
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(json.loads(path.read_text()) if path.suffix == ".json" else yaml.safe_load(path.read_text()))
    assert found
    return found


def shown(registry: CollectorRegistry, name: str, label: str) -> set[str]:
    """The values of the label for which this counter has a series."""
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    return {sample.labels[label] for sample in samples if sample.name == name}


def test_what_an_alert_counts_is_shown_before_it_happens_first() -> None:
    """Prometheus sees no increase in a series that begins at one."""
    assert shown(Metrics().registry, "hookline_graphql_errors_total", "code") == {*CODES, "other"}
    assert shown(of_workers.REGISTRY, "hookline_attempts_total", "outcome") == {*AttemptOutcome}
    assert shown(of_workers.REGISTRY, "hookline_webhooks_disabled_total", "reason") == {*WebhookDisabledReason}


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        assert set(rule["annotations"]) == {"summary", "remedy"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}


def test_what_an_alert_has_counted_is_told_in_whole_numbers() -> None:
    """increase() extrapolates, and makes 1.003 webhooks of one."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        assert ("increase(" in rule["expr"]) == ('{{ $value | printf "%.0f" }}' in rule["annotations"]["summary"])


def test_of_what_every_program_tells_only_ours_is_drawn() -> None:
    for expression in expressions(DASHBOARD):
        if "process_" in expression:
            assert expression.endswith(" and on (job, instance) (hookline_connections or hookline_database_reached)")


def test_that_all_processes_of_a_kind_are_gone_wakes_somebody(existing: list[Metric]) -> None:
    asked = {name for expression in expressions(ALERTS) for name in re.findall(r"absent\((\w+)\)", expression)}
    of_the_api = {full_name(metric) for metric in shown_by_the_api()}
    of_the_worker = {full_name(metric) for metric in existing} - of_the_api
    assert asked & of_the_api
    assert asked & of_the_worker


def test_no_panel_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_every_expression_is_one_that_prometheus_takes(path: Path) -> None:
    for expression in expressions(path):
        # Grafana puts in a duration before it asks.
        promql_parser.parse(expression.replace("$__rate_interval", "5m"))


@pytest.mark.parametrize("wrong", ["rate(hookline_due)", "sum by (outcome (hookline_due)", "hookline_due{a=b}"])
def test_the_judge_of_expressions_refuses_what_is_wrong(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        promql_parser.parse(wrong)


def test_the_rules_have_the_form_that_prometheus_reads() -> None:
    """If Prometheus' own tool is on the machine, it also judges them and runs their tests (alerts.test.yml)."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]:
        jsonschema.validate(rule, RULE)
        for text in rule["annotations"].values():
            assert "{{" not in re.sub(TEMPLATE, "", text), text
    tests = yaml.safe_load(ALERTS.with_name("alerts.test.yml").read_text())["tests"]
    tried = {each["alertname"] for test in tests for each in test["alert_rule_test"]}
    assert tried <= {rule["alert"] for rule in group["rules"]}
    if promtool := shutil.which("promtool"):
        for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
            done = subprocess.run([promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
