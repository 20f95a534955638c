# The operator's image: an interpreter, packages and a program, with no shell and no system around them.
#   docker build --build-arg REVISION=$(git rev-parse HEAD) -t ephemeral-endpoints .
# Any base will do that has glibc, Python 3.11 or newer, and pip; of its files only the interpreter and its libraries are
# kept. For both platforms: docker buildx build --platform linux/amd64,linux/arm64 .
# `make pins` adds the digest of the base. What is assembled depends on nothing but the commit, the lock and the base.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
COPY requirements-runtime.lock /
RUN pip install --no-cache-dir --no-compile --only-binary :all: --no-deps --require-hashes --target /image/packages/opt/packages -r /requirements-runtime.lock
COPY operator/ephemeral_endpoints /image/program/opt/operator/ephemeral_endpoints/
COPY image/assemble.py /
RUN python3 -I /assemble.py /image

FROM scratch
COPY --from=build /image/base /
COPY --from=build /image/packages /
COPY LICENSE /opt/operator/
COPY --from=build /image/program /
WORKDIR /opt/operator
# Nothing is written at run time: the root file system can be mounted read-only.
ENV PATH=/usr/local/bin \
    HOME=/ \
    LANG=C.UTF-8 \
    PYTHONPATH=/opt/operator:/opt/packages \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/opt/packages/certifi/cacert.pem
# By number, so that the kubelet can see that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "ephemeral_endpoints"]

# Last, so that another revision of the same files shares every layer.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ephemeral-endpoints" \
      org.opencontainers.image.description="Every pull request its own live SageMaker endpoint, and nothing left behind" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
