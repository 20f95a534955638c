"""A second model behind the first one, on real parts: the example, its bad days, and what must not be reached."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from tests.fixtures.containers import CACHE
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually
from tests.integration.test_least_privilege import FORWARDERS, values
from tests.integration.test_serving import ask

from eep_platform.aws import ministack
from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.containers import engineless, registry
from eep_platform.containers.image import with_docker_types
from eep_platform.workbench import Object, condition
from ephemeral_endpoints.deploy.policies import Principal, of

ROOT = Path(__file__).parents[2]
REVIEWS = ROOT / "model" / "reviews"
GENERATOR, CLASSIFIER = "reviews-pr-46", "sentiment-pr-46"
TEXT = {"SAY": '{"text": "fine"}', "MEDIA_TYPE": "application/json"}


def apply_example(bench: Bench, file: str, revision: str) -> None:
    """The example with the image of its target, as the platform's builder makes it."""
    example = yaml.safe_load((ROOT / "examples" / file).read_text(encoding="utf-8"))
    name, spec = example["metadata"]["name"], example["spec"]
    target, arguments = spec["model"]["build"]["target"], {"MODEL_REVISION": revision}
    made = engineless.prepare(REVIEWS, arguments=arguments, cache=CACHE, report=lambda _: None, target=target).image()
    tag = f"{target}-{revision[:7]}"
    registry.push(with_docker_types(made), registry=bench.platform.registry, repository=EXAMPLE_REPOSITORY, tag=tag)
    bench.apply(
        name, {**spec, "model": {"image": bench.image_uri(tag)}, "source": {**spec["source"], "revision": revision}}
    )


def chained(bench: Bench, obj: Object, body: dict[str, object], **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {bench.token(obj['metadata']['name'])}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(obj["status"]["url"], data=json.dumps(body), headers=sent, timeout=60)


def test_the_example_gives_a_text_and_its_class_and_the_text_alone_without_the_classifier(bench: Bench) -> None:
    revision, newer = "8c1f" * 10, "9d20" * 10
    apply_example(bench, "endpoint-second.yaml", revision)
    apply_example(bench, "endpoint-chained.yaml", revision)
    generator = bench.wait_ready(GENERATOR)
    bench.wait_ready(CLASSIFIER)
    bench.wait_condition(GENERATOR, "Postprocessed", reason="Postprocessing")

    texts = {}
    for variant, order in (("fluent", 3), ("wandering", 1)):
        response = chained(bench, generator, {"prompt": "This Riesling", "seed": 7}, eep_variant=variant)
        both = response.json()
        assert (both["answer"]["order"], both["answer"]["revision"]) == (order, revision)
        texts[variant] = both["answer"]["text"]
        second = both["postprocess"]
        assert second["answer"]["label"] in {"positive", "negative"}
        assert (second["endpoint"], second["answer"]["revision"]) == (CLASSIFIER, revision)
        headers = response.headers
        assert (headers["eep-variant"], headers["eep-postprocess-variant"]) == (variant, "main")
        assert headers["eep-revision"] == headers["eep-postprocess-revision"] == revision[:12]
        assert "eep-feedback-id" in headers
        alone = bench.call(
            (bench.get(CLASSIFIER) or {})["status"]["url"],
            json.dumps({"text": texts[variant]}).encode(),
            token=bench.token(CLASSIFIER),
        )
        assert alone.json() == second["answer"], "the classifier says the same to those who ask it themselves"
    assert texts["fluent"] != texts["wandering"]
    bench.wait_condition(GENERATOR, "ChecksPassed", reason="ChecksPassed")

    # A push to the classifier changes what answers tell of it, and not the generator's function.
    bench.control.reset_meter()
    apply_example(bench, "endpoint-second.yaml", newer)
    bench.wait_ready(CLASSIFIER)
    bench.wait(
        GENERATOR, lambda obj: obj["status"]["postprocess"] == {"endpoint": CLASSIFIER, "revision": newer}, what="told"
    )
    assert bench.effects()["UpdateFunctionCode"] == 1, "the classifier's own"
    assert bench.effects()["AddTags"] == 3, "its model, configuration and endpoint, whose time to live begins anew"

    bench.delete(CLASSIFIER)
    bench.wait_gone(CLASSIFIER)
    bench.wait_condition(GENERATOR, "Postprocessed", reason="PostprocessNotFound")
    bench.wait_ready(GENERATOR)
    left = chained(bench, generator, {"prompt": "This Riesling", "seed": 7}, eep_variant="fluent")
    assert (left.status_code, left.headers["eep-postprocess"]) == (200, "failed")
    assert left.json()["answer"]["text"] == texts["fluent"]
    assert set(left.json()["postprocess"]) == {"endpoint", "problem"}


def test_a_second_model_that_is_gone_without_anybodys_knowledge_costs_only_its_own_answer(bench: Bench) -> None:
    bench.apply("second", bench.spec(model={"image": bench.image, "environment": {**TEXT, "SAY": '{"label": "a"}'}}))
    chain = {"postprocess": {"endpoint": "second"}}
    bench.apply("first", bench.spec(model={"image": bench.image, "environment": TEXT}, api=chain))
    first, second = bench.wait_ready("first"), bench.wait_ready("second")
    eventually(lambda: ask(bench, first).json()["postprocess"].get("answer") == {"label": "a"}, "both answers")
    bench.apply("second", bench.spec(suspend=True))
    bench.aws("sagemaker").delete_endpoint(EndpointName=second["status"]["endpointName"])
    eventually(lambda: "problem" in ask(bench, first).json()["postprocess"], "the problem")
    answered = ask(bench, first)
    assert answered.json()["answer"] == {"text": "fine"}
    assert answered.json()["postprocess"]["problem"]["type"].endswith(":endpoint-not-ready")
    bench.apply("second", bench.spec(suspend=False))


@pytest.fixture
def victim(bench: Bench) -> Iterator[str]:
    """An object of another namespace, of which its neighbours know the name."""
    namespace = f"{bench.namespace}-victim"
    bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    other = Bench(bench.platform, namespace=namespace, image=bench.image)
    other.apply("victim", other.spec(model=other.saying("secret")))
    other.wait_ready("victim")
    yield "victim"
    other.delete("victim")
    other.wait_gone("victim")


def test_objects_of_other_namespaces_and_endpoints_that_nobody_lists_are_out_of_reach(
    bench: Bench, victim: str
) -> None:
    for name in (f"{bench.namespace}-victim/{victim}", "../victim", "pr"):
        with pytest.raises(ApiException) as caught:
            bench.apply("pr", bench.spec(api={"postprocess": {"endpoint": name}}))
        assert caught.value.status == 422
    with pytest.raises(ApiException):
        bench.apply("pr", bench.spec(api={"postprocess": {"sageMakerEndpoint": "arn:aws:sagemaker:x:1:endpoint/y"}}))

    bench.apply(
        "pr", bench.spec(model={"image": bench.image, "environment": TEXT}, api={"postprocess": {"endpoint": victim}})
    )
    obj = bench.wait_ready("pr")
    bench.wait_condition("pr", "Postprocessed", reason="PostprocessNotFound")
    answered = ask(bench, obj)
    assert answered.json()["answer"] == {"text": "fine"}
    assert answered.json()["postprocess"]["problem"]["type"].endswith(":postprocess-unavailable")
    assert "secret" not in answered.text

    bench.apply("pr", bench.spec(api={"postprocess": {"sageMakerEndpoint": obj["status"]["endpointName"]}}))
    refused = bench.wait_condition("pr", "Stalled", reason="NotAllowed")
    assert "routing.postprocessors" in condition(refused, "Stalled")["message"]
    eventually(lambda: "does not allow" in ask(bench, obj).text, "the refusal")


def serve_alone(bench: Bench, name: str, says: str) -> None:
    """An endpoint that the platform team made in SageMaker itself."""
    sagemaker = bench.aws("sagemaker")
    container = {"Image": bench.image, "Environment": {"SAY": says, "MEDIA_TYPE": "application/json"}}
    role = f"arn:aws:iam::{ministack.ACCOUNT}:role/ephemeral-endpoints-execution"
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "All",
        "ModelName": name,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    eventually(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService", name)


def take_away(bench: Bench, name: str) -> None:
    sagemaker = bench.aws("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def test_of_the_endpoints_that_a_class_lists_forwarders_invoke_those_that_their_role_may(bench: Bench) -> None:
    class_name, lists = f"lists-{bench.namespace}", ["shared", "unpermitted"]
    bench.make_class(class_name, routing={"postprocessors": lists})
    for name in lists:
        serve_alone(bench, name, f'{{"from": "{name}"}}')
    given = {**values(bench), "Postprocessors": "shared"}
    bench.control.hold_to(FORWARDERS, [each.document(given) for each in of(Principal.FORWARDER)])
    try:
        objects: dict[str, Any] = {}
        for name in lists:
            chain = {"postprocess": {"sageMakerEndpoint": name}}
            model = {"image": bench.image, "environment": TEXT}
            bench.apply(name, bench.spec(className=class_name, model=model, api=chain))
        for name in lists:
            objects[name] = ask(bench, bench.wait_ready(name)).json()
            bench.wait_condition(name, "Postprocessed", reason="Postprocessing")
    finally:
        bench.control.release()
        for name in lists:
            take_away(bench, name)
    assert objects["shared"]["postprocess"]["answer"] == {"from": "shared"}
    assert objects["unpermitted"]["answer"] == {"text": "fine"}
    assert objects["unpermitted"]["postprocess"]["problem"]["type"].endswith(":invocation-refused")
    for name in lists:
        bench.delete(name)
        bench.wait_gone(name)
    bench.delete_class(class_name)
    bench.wait_class_gone(class_name)
