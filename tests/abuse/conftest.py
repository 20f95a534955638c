"""What the tests of the parts work on, for what a hostile user does to them."""

from tests.api import conftest as api_fixtures

endpoint = api_fixtures.endpoint
endpoint_class = api_fixtures.endpoint_class
kubectl = api_fixtures.kubectl
custom_objects = api_fixtures.custom_objects
create = api_fixtures.create
patch = api_fixtures.patch
stored = api_fixtures.stored
