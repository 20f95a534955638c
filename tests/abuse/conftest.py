"""What the tests of the parts work on, for what a hostile user does to them."""

from tests.api import conftest as api_fixtures
from tests.kube import conftest as kube_fixtures
from tests.reconcile import conftest as reconcile_fixtures

endpoint = api_fixtures.endpoint
endpoint_class = api_fixtures.endpoint_class
kubectl = api_fixtures.kubectl
custom_objects = api_fixtures.custom_objects
create = api_fixtures.create
patch = api_fixtures.patch
stored = api_fixtures.stored

crds = kube_fixtures.crds
cluster = kube_fixtures.cluster
api = kube_fixtures.api
kube = kube_fixtures.kube

clients = reconcile_fixtures.clients
desk = reconcile_fixtures.desk
