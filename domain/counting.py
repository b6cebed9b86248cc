"""A counter for Prometheus whose number is kept elsewhere."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector


class Kept(Collector):
    """Reads the number whenever Prometheus asks: for code that must not know of Prometheus."""

    def __init__(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """`name` ends in _total."""
        self._name = name
        self._documentation = documentation
        self._read = read

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See prometheus_client."""
        yield CounterMetricFamily(self._name.removesuffix("_total"), self._documentation, value=self._read())
