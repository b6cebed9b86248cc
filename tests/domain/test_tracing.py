"""Traces: one from the mutation through the queue to every attempt, with nothing secret in it."""

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from domain.database import rows
from domain.settings import Settings
from domain.spans import Spans
from domain.tracing import NoTraces
from domain.unit import Actor, Domain, opened
from tests.domain.doing import happen, listen
from tests.receiver import Answer, Receiver
from workers.engine import Engine
from workers.rescue import Rescue

ROOT = Path(__file__).parents[2]


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def traced(domain: Domain, exported: InMemorySpanExporter) -> AsyncIterator[Domain]:
    spans = Spans("", SimpleSpanProcessor(exported))
    yield replace(domain, tracer=spans)
    spans.close()


async def deliver(domain: Domain, receiver: Receiver, count: int) -> None:
    async with Engine(domain).running() as engine:
        await Rescue(domain, engine).once()
        await receiver.wait_for(count)


def named(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


async def test_mutation_queue_and_attempts_are_one_trace(
    traced: Domain, admin: Actor, receiver: Receiver, exported: InMemorySpanExporter
) -> None:
    receiver.answer(Answer(503, body="not now, says s3cret"), 200, path="/in")
    await listen(traced, admin, callback_url=receiver.url_of("/in?key=s3cret"), secret="s3cret")
    with traced.tracer.operation("mutation", "postCreate", "request-1") as note:
        await happen(traced, admin)
        note(set())
    await deliver(traced, receiver, 1)
    # The retry finds its trace in the database, whatever became of the job.
    await rows("UPDATE delivery SET due_at = now()")
    await deliver(traced, receiver, 2)

    (mutation,) = named(exported, "mutation postCreate")
    queued, attempts = named(exported, "queue"), named(exported, "attempt")
    assert mutation.context is not None
    assert len(queued) == len(attempts) == 2
    for span, parent in (
        (queued[0], mutation),
        (queued[1], mutation),
        (attempts[0], queued[0]),
        (attempts[1], queued[1]),
    ):
        assert span.context is not None
        assert parent.context is not None
        assert span.parent is not None
        assert (span.context.trace_id, span.parent.span_id) == (mutation.context.trace_id, parent.context.span_id)
    told = [(span.attributes or {}) for span in attempts]
    assert [each["hookline.outcome"] for each in told] == ["http_error", "succeeded"]
    assert [each["http.response.status_code"] for each in told] == [503, 200]
    assert "s3cret" not in str([span.to_json() for span in exported.get_finished_spans()])


async def test_an_operation_that_fails_says_so_by_its_codes_alone(
    traced: Domain, exported: InMemorySpanExporter
) -> None:
    with traced.tracer.operation("query", "posts", "request-1") as note:
        note({"INTERNAL"})
    (span,) = exported.get_finished_spans()
    assert dict(span.attributes or {}) == {
        "graphql.operation.type": "query",
        "graphql.field": "posts",
        "hookline.request_id": "request-1",
        "hookline.codes": ("INTERNAL",),
    }
    assert not span.status.is_ok


async def test_an_event_that_no_mutation_made_begins_a_trace_of_its_own(
    traced: Domain, admin: Actor, receiver: Receiver, exported: InMemorySpanExporter
) -> None:
    await listen(traced, admin, callback_url=receiver.url)
    await happen(traced, admin)
    await deliver(traced, receiver, 1)
    (queued,), (attempt,) = named(exported, "queue"), named(exported, "attempt")
    assert queued.parent is None
    assert attempt.parent is not None


async def test_one_unit_leaves_no_trace_on_the_next(traced: Domain, domain: Domain, admin: Actor) -> None:
    with traced.tracer.operation("mutation", "postCreate", "request-1"):
        await happen(traced, admin)
    for _ in range(12):
        await happen(domain, admin)
    found = await rows("SELECT trace FROM event ORDER BY id")
    assert [row["trace"] is not None for row in found] == [True, *[False] * 12]


async def test_spans_are_sent_to_the_endpoint_before_the_process_ends(settings: Settings, receiver: Receiver) -> None:
    async with opened(replace(settings, traces_endpoint=receiver.url_of("/v1/traces"))) as domain:
        with domain.tracer.operation("query", "viewer", "request-1"):
            pass
    (sent,) = await receiver.wait_for(1)
    assert (sent.path, sent.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
    assert b"query viewer" in sent.body


async def test_without_an_endpoint_there_are_none(domain: Domain) -> None:
    assert isinstance(domain.tracer, NoTraces)
    with domain.tracer.operation("query", "viewer", "request-1") as note:
        note({"INTERNAL"})
    assert domain.tracer.current() is None


def test_an_endpoint_without_the_packages_is_a_sentence() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from domain.settings import Settings; from domain.tracing import tracer\n"
        "from domain.errors import Misconfigured\n"
        "try: tracer(Settings('', '', (), traces_endpoint='http://x'))\n"
        "except Misconfigured as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("HOOKLINE_TRACES_ENDPOINT is set, but the packages"), done.stderr
