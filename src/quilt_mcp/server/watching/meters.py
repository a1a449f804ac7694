"""Meters: how many calls, how they ended, how long they took, by OpenTelemetry; and where that goes to.

Without its SDK, which the extra ``telemetry`` brings, whatever is measured goes nowhere and costs next to nothing; so do the
spans that the protocol's own SDK makes of each request.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from opentelemetry import metrics

from quilt_mcp.environment import sends_telemetry
from quilt_mcp.errors import InvalidArgument, Misconfigured

_EXTRA: Final = "Install quilt-mcp with its extra: from a checkout, pip install '.[telemetry]'."


class Meters:
    """Attributes are few: no user and no address is among them."""

    def __init__(self, users: Callable[[], int] = lambda: 0, backends: Callable[[], int] = lambda: 0) -> None:
        """``users`` and ``backends`` tell how many are held."""
        meter = metrics.get_meter("quilt_mcp")
        self._calls = meter.create_counter(
            "quilt_mcp.calls", description="Calls of tools, and resources read"
        )
        self._seconds = meter.create_histogram(
            "quilt_mcp.call.duration", unit="s", description="How long calls took"
        )
        self._refused = meter.create_counter(
            "quilt_mcp.refusals", description="Requests not let in, by status"
        )
        for name, count in (("quilt_mcp.users", users), ("quilt_mcp.backends", backends)):
            meter.create_observable_gauge(name, [_observed(count)], description="Held at the moment")

    def called(self, tool: str, outcome: str, code: str | None, seconds: float) -> None:
        attributes = {"tool": tool, "outcome": outcome} | ({"code": code} if code else {})
        self._calls.add(1, attributes)
        self._seconds.record(seconds, {"tool": tool})

    def refused(self, status: int) -> None:
        self._refused.add(1, {"status": status})


def _observed(count: Callable[[], int]) -> Callable[[metrics.CallbackOptions], list[metrics.Observation]]:
    return lambda _: [metrics.Observation(count())]


def export(prometheus: str | None) -> None:
    """Once for a process, before ``Meters`` are made: metrics as Prometheus' text at an address of their own, metrics and traces
    by OTLP where its variables are set.

    Raises InvalidArgument for an address that is none, Misconfigured where the extra is not installed or the address is taken."""
    readers: list[Any] = []
    try:
        if prometheus is not None:
            readers.append(_prometheus(prometheus))
        if sends_telemetry("METRICS"):
            exporter = import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
            periodic = import_module("opentelemetry.sdk.metrics.export").PeriodicExportingMetricReader
            readers.append(periodic(exporter.OTLPMetricExporter()))
        if readers:
            provider = import_module("opentelemetry.sdk.metrics").MeterProvider(readers, resource=_resource())
            metrics.set_meter_provider(provider)
        if sends_telemetry("TRACES"):
            _send_traces()
    except ImportError:
        raise Misconfigured(
            "Metrics and traces are asked for (QUILT_MCP_METRICS or OTEL_EXPORTER_OTLP_...), and what sends them is not "
            "installed.",
            next_step=_EXTRA,
        ) from None


def _prometheus(place: str) -> Any:
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InvalidArgument(
            f"QUILT_MCP_METRICS is {place[:100]!r}.", next_step="Give an address and a port: 127.0.0.1:9464."
        )
    reader = import_module("opentelemetry.exporter.prometheus").PrometheusMetricReader()
    try:
        import_module("prometheus_client").start_http_server(int(port), host.strip("[]"))
    except OSError as error:
        raise Misconfigured(
            f"Metrics cannot be served at {place}: {error.strerror}.",
            next_step="Choose another QUILT_MCP_METRICS.",
        ) from error
    return reader


def _resource() -> Any:
    """What all of it is of: as OTEL_SERVICE_NAME says, if it does."""
    return import_module("opentelemetry.sdk.resources").Resource.create({"service.name": "quilt-mcp"})


def _send_traces() -> None:
    trace, sdk = import_module("opentelemetry.trace"), import_module("opentelemetry.sdk.trace")
    exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
    provider = sdk.TracerProvider(resource=_resource())
    provider.add_span_processor(import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
