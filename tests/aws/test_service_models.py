from dataclasses import fields

import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.loaders import Loader

from ephemeral_endpoints.aws.clients import Clients, Sessions
from ephemeral_endpoints.aws.service_models import ServiceModels


@pytest.fixture(scope="module")
def clients() -> Clients:
    return Sessions(connections=1).connect("us-east-1")


def without_documentation(part: object) -> object:
    if isinstance(part, dict):
        kept = {key: each for key, each in part.items() if key != "documentation" or not isinstance(each, str)}
        return {key: without_documentation(each) for key, each in kept.items()}
    return [without_documentation(each) for each in part] if isinstance(part, list) else part


@pytest.mark.parametrize("name", [each.name for each in fields(Clients) if str(each.type).endswith("Client")])
def test_the_model_of_a_service_lacks_its_documentation_and_nothing_else(clients: Clients, name: str) -> None:
    client = getattr(clients, name)
    assert isinstance(client, BaseClient)
    service, slim = client.meta.service_model.service_name, Loader(file_loader=ServiceModels())
    whole: Loader = botocore.session.Session().get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        assert slim.load_service_model(service, kind) == without_documentation(whole.load_service_model(service, kind))


def test_clients_are_made_from_models_without_documentation(clients: Clients) -> None:
    assert clients.sagemaker.meta.service_model.operation_model("ListTags").documentation == ""
