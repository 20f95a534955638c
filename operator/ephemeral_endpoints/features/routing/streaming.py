"""SageMaker's own path for OpenAI clients, which streams what a model on instances answers.

It is on for all real-time endpoints, and serves models whose server speaks that protocol
(https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html).
"""

from ephemeral_endpoints.features.serving.desired import variants_of
from ephemeral_endpoints.features.subject import Subject


def openai_base_url(subject: Subject) -> str | None:
    """The base URL for OpenAI clients; None on serverless and asynchronous endpoints."""
    serving, region = subject.endpoint.spec.serving, subject.endpoint_class.spec.region
    if serving.instances is None or serving.asynchronous is not None:
        return None
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://runtime.sagemaker.{region}.{suffix}/endpoints/{variants_of(subject)[0].endpoint}/openai/v1"
