# The operator's image. Any base with Python 3.11 or newer and pip will do: docker build --build-arg PYTHON_IMAGE=…
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements-runtime.lock /
RUN pip install --no-cache-dir --only-binary :all: --require-hashes --target /opt/packages -r /requirements-runtime.lock

FROM ${PYTHON_IMAGE}
WORKDIR /opt/operator
COPY --from=dependencies /opt/packages /opt/packages
COPY LICENSE ./
COPY operator/ephemeral_endpoints ./ephemeral_endpoints/
# Nothing is written at run time: the root file system can be mounted read-only.
ENV PYTHONPATH=/opt/operator:/opt/packages \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="ephemeral-endpoints" \
      org.opencontainers.image.description="Every pull request its own live SageMaker endpoint, and nothing left behind" \
      org.opencontainers.image.licenses="Apache-2.0"
# By number, so that the kubelet can see that it is not root (runAsNonRoot).
USER 65532:65532
ENTRYPOINT ["python", "-m", "ephemeral_endpoints"]
