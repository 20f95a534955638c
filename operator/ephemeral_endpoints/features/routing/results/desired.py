"""Where what the model of an object answers is published. Pure."""

from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.features.routing.forwarder.config import ResultsConfig
from ephemeral_endpoints.features.routing.forwarder.sink import FIREHOSE, KINESIS, SNS
from ephemeral_endpoints.features.subject import Subject


def forwarder_results(subject: Subject) -> ResultsConfig | None:
    """How the forwarder of an object publishes; None if it does not, or the class does not say where to."""
    asked, policy = subject.endpoint.spec.results, subject.endpoint_class.spec.results
    if asked is None or policy is None:
        return None
    targets = (
        (SNS, policy.topic_arn),
        (FIREHOSE, policy.delivery_stream),
        (KINESIS, policy.kinesis_stream),
    )
    [(operation, target)] = [(operation, target) for operation, target in targets if target is not None]
    return ResultsConfig(operation.service, target, asked.include_request)


def refused_results(subject: Subject) -> NotAllowed | None:
    """Why what the model answers is not published although the object asks for that; None if it is."""
    if subject.endpoint.spec.results is None or subject.endpoint_class.spec.results is not None:
        return None
    return NotAllowed(
        "the class does not say where results are published, and the endpoint serves without publishing them: remove "
        "spec.results, or ask the platform team to set spec.results of the class"
    )
