from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.operator import push_echo
from tests.installation.site import Site, undress

from eep_platform import platform as local_platform
from eep_platform.kubelet.api import Api


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, helm: Path) -> Iterator[Site]:
    """A platform of this file's own: other operators work on the session's, with kinds that no release owns."""
    state = tmp_path_factory.mktemp("site")
    try:
        platform = local_platform.up(state)
        api = Api(platform.kubeconfig)
        default = api("GET", "/apis/ephemeral-endpoints.io/v1alpha1/ephemeralendpointclasses/default")
        undress(api)
        home = tmp_path_factory.mktemp("helm")
        # The Secret of its reviews is where the platform's own operator reads it, in no release's namespace.
        spec = {name: value for name, value in default["spec"].items() if name != "reviews"}
        yield Site(platform.kubeconfig, helm, home, api, platform, spec)
    finally:
        local_platform.down(state)


@pytest.fixture(scope="module")
def echo(site: Site) -> str:
    """The URI of the smallest model server, in ECR."""
    return push_echo(site.platform)
