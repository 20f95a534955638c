"""The forwarder functions in Lambda."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, pages
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import LAMBDA_LOG_PREFIX, owner_of
from ephemeral_endpoints.core.resources import FunctionSpec, Have, Haves, Key, Kind, Phase, Want
from ephemeral_endpoints.core.tags import Tags
from ephemeral_endpoints.forwarder import bundle

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

PAGE: Final = 50


class FunctionComponent:
    """Functions: the zip holds code and configuration, so that one update changes both at once."""

    kind: ClassVar = Kind.FUNCTION
    actions: ClassVar = frozenset(
        {
            "iam:PassRole",
            "lambda:CreateFunction",
            "lambda:DeleteFunction",
            "lambda:GetFunctionConfiguration",
            "lambda:ListFunctions",
            "lambda:ListTags",
            "lambda:TagResource",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        }
    )

    def __init__(self, client: "LambdaClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``. Lambda cannot list by prefix: foreign functions are read and dropped."""
        listing = pages(calls, self._client.list_functions, asks="Marker", answers="NextMarker", MaxItems=PAGE)
        return [
            self._have(item)
            async for page in listing
            for item in page["Functions"]
            if item["FunctionName"].startswith(self._scope.prefix)
        ]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            return self._have(await calls(self._client.get_function_configuration, FunctionName=key.name))
        except errors.NotFound:
            return None

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return (await calls(self._client.list_tags, Resource=have.arn))["Tags"]

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, Resource=have.arn, Tags=dict(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. Code and settings are two calls, the second once the first has settled."""
        spec = expect(want, FunctionSpec)
        if have is None:
            return self._have(await self._create(calls, want.key, spec))
        if not isinstance(have.spec, FunctionSpec) or have.spec.code_sha256 != spec.code_sha256:
            code = _code(want.key, spec)
            return self._have(await calls(self._client.update_function_code, FunctionName=want.key.name, ZipFile=code))
        return self._have(
            await calls(
                self._client.update_function_configuration,
                FunctionName=want.key.name,
                Role=spec.role_arn,
                Runtime=spec.runtime,  # type: ignore[arg-type]  # a literal in the stubs
                Handler=spec.handler,
                MemorySize=spec.memory_mb,
                Timeout=spec.timeout_seconds,
            )
        )

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        try:
            await calls(self._client.delete_function, FunctionName=have.key.name)
        except errors.NotFound:
            return

    async def _create(self, calls: Calls, key: Key, spec: FunctionSpec) -> Any:
        def arguments() -> dict[str, Any]:
            # Made only now: in a burst hundreds wait for their turn, and so would their bundles.
            return {
                "FunctionName": key.name,
                "Description": "Forwards requests to the SageMaker endpoint of the same name",
                "Role": spec.role_arn,
                "Runtime": spec.runtime,
                "Handler": spec.handler,
                "MemorySize": spec.memory_mb,
                "Timeout": spec.timeout_seconds,
                "Code": {"ZipFile": _code(key, spec)},
                "Tags": dict(spec.tags),
            }

        return await calls.deferred(self._client.create_function, arguments)

    def _have(self, item: Any) -> Have:
        name = item["FunctionName"]
        return Have(
            Key(self.kind, name),
            Phase.READY,
            spec=FunctionSpec(
                code_sha256=item["CodeSha256"],
                role_arn=item["Role"],
                runtime=item.get("Runtime", ""),
                handler=item.get("Handler", ""),
                memory_mb=item["MemorySize"],
                timeout_seconds=item["Timeout"],
            ),
            arn=item["FunctionArn"],
            owner=owner_of(self._scope.cluster_id, name),
            uses=frozenset({Key(Kind.LOG_GROUP, LAMBDA_LOG_PREFIX + name)}),
        )


def _code(key: Key, spec: FunctionSpec) -> bytes:
    if spec.forwarder is None:
        raise TypeError(f"{key} would have no code")
    return bundle.build(spec.forwarder).zip
