"""What the admission policies say of objects that they refuse, as a text or as the expression that makes it."""

from collections.abc import Iterator
from itertools import chain

from tests.chart.rendering import Chart, kinds

from ephemeral_endpoints.api.schema.admission import guards

_ALL_LIMITS = {
    "instanceTypes": "{ml.t2.*,ml.m5.large}",
    "images": "{*/models/*}",
    "copies": "{public.ecr.aws/acme/*}",
    "gitRepositories": "{acme/*}",
    "s3Urls": "{s3://acme-*}",
    "snsTopics": "{arn:aws:sns:*:acme-*}",
    "deniedEnvironment": "{AWS_*}",
    "maxInstances": "4",
    "maxConcurrency": "5",
    "maxProvisionedConcurrency": "0",
    "maxTtl": "72h",
    "allowOpen": "false",
    "ownPaths": "true",
    "allowRetain": "false",
    "classes.gpu": "{vision}",
}


def policies(chart: Chart) -> Iterator[tuple[str, str]]:
    chosen = [f"--set=admission.limits.{name}={value}" for name, value in _ALL_LIMITS.items()]
    found = chart.of("default", "--set=admission.limits.enabled=true", *chosen)
    for policy in kinds([*chain.from_iterable(guards().values()), *found], "ValidatingAdmissionPolicy"):
        for validation in policy["spec"]["validations"]:
            for member in ("message", "messageExpression"):
                if member in validation:
                    yield f"{policy['metadata']['name']} {member}", " ".join(validation[member].split())
