"""Records every invocation: metrics, the count that automatic scaling uses, and captured data."""

from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.captures import Capture, Exchange, is_captured
from eep_platform.sagemaker.endpoints import Endpoint
from eep_platform.sagemaker.metrics import Invocation, Measurement
from eep_platform.sagemaker.servers import VariantServer
from eep_platform.sagemaker.store import Record, Store

_MICROSECONDS = 1e6


class InvocationRecorder:
    """Records invocations; never blocks."""

    def __init__(self, store: Store, metrics: Outbox[Measurement], captures: Outbox[Capture]) -> None:
        self._store = store
        self._metrics = metrics
        self._captures = captures

    def measure(self, measurement: Measurement) -> None:
        """Send another measurement to CloudWatch."""
        self._metrics.put(measurement)

    def note(self, record: Record[Endpoint], server: VariantServer, exchange: Exchange, seconds: float) -> None:
        """Record an invocation that took `seconds` in total."""
        spec, answer = server.spec, exchange.answer
        variant = record.value.shown.variant(spec.variant_name)
        self._store.invocations[record.arn, spec.variant_name] += 1
        number = self._store.invocations[record.arn, spec.variant_name]
        self._metrics.put(
            Invocation(
                endpoint_name=spec.endpoint_name,
                variant_name=spec.variant_name,
                model_status=answer.status,
                model_microseconds=round(answer.seconds * _MICROSECONDS),
                overhead_microseconds=round((seconds - answer.seconds) * _MICROSECONDS),
                instances=variant.instance_count if variant else 0,
                config_name=spec.config_name,
                queued=record.value.shown.async_inference is not None,
            )
        )
        config = spec.data_capture
        if config and answer.ok and is_captured(config, number):
            self._captures.put(Capture(spec.endpoint_name, spec.variant_name, config, exchange))
