"""OpenTelemetry's spans, behind domain/tracing.py: the only file that imports its packages, which are optional."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from domain.verdicts import Result
from domain.version import VERSION
from domain.vocabulary import AttemptOutcome

_propagator = TraceContextTextMapPropagator()
NANOSECONDS = 1_000_000_000


class Spans:
    """Makes spans and hands them to a thread that sends them. See domain.tracing.Tracer."""

    enabled = True

    def __init__(self, endpoint: str, processor: SpanProcessor | None = None) -> None:
        """`endpoint` takes OTLP over HTTP; `processor` replaces the one that sends there."""
        # The SDK reads the sampling rate, and the headers to send, from its own OTEL_* variables.
        resource = Resource.create({SERVICE_NAME: "hookline", SERVICE_VERSION: VERSION})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("hookline", VERSION)

    @contextmanager
    def operation(self, kind: str, field: str, request_id: str) -> Iterator[Callable[[set[str]], None]]:
        """See Tracer."""
        attributes = {"graphql.operation.type": kind, "graphql.field": field, "hookline.request_id": request_id}
        with self._tracer.start_as_current_span(
            f"{kind} {field}", Context(), SpanKind.SERVER, attributes, record_exception=False
        ) as span:

            def note(codes: set[str]) -> None:
                if codes:
                    span.set_attribute("hookline.codes", sorted(codes))
                    span.set_status(StatusCode.ERROR)

            yield note

    def current(self) -> str | None:
        """See Tracer."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")

    def attempts(self, results: Sequence[Result]) -> None:
        """See Tracer."""
        for each in results:
            self._attempt(each)

    def _attempt(self, result: Result) -> None:
        claimed = result.claimed
        parent = _propagator.extract({"traceparent": claimed["trace"]} if claimed["trace"] else {}, Context())
        attributes: dict[str, AttributeValue] = {
            "hookline.delivery": str(claimed["uuid"]),
            "hookline.webhook": claimed["webhook_id"],
            "hookline.event": claimed["event_type"],
            "hookline.attempt": claimed["attempt_number"],
        }
        begun = _nanoseconds(claimed["claimed_at"])
        ended = _nanoseconds(claimed["claimed_at"] + timedelta(milliseconds=result.duration_ms))
        waited = self._tracer.start_span(
            "queue", parent, SpanKind.CONSUMER, attributes, start_time=min(_nanoseconds(claimed["due_at"]), begun)
        )
        waited.end(begun)
        span = self._tracer.start_span(
            "attempt", trace.set_span_in_context(waited, Context()), SpanKind.CLIENT, attributes, start_time=begun
        )
        span.set_attribute("hookline.outcome", result.outcome)
        if result.response_status is not None:
            span.set_attribute("http.response.status_code", result.response_status)
        if result.outcome is not AttemptOutcome.SUCCEEDED:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def close(self) -> None:
        """See Tracer."""
        self._provider.shutdown()


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * NANOSECONDS)
