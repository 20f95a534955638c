from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.operator import push_echo
from tests.installation.site import Site

from eep_platform import bootstrap
from eep_platform import platform as local_platform
from eep_platform.kubelet.api import Api


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, helm: Path) -> Iterator[Site]:
    """A platform of this file's own: other operators work on the session's, with kinds that no release owns."""
    state = tmp_path_factory.mktemp("site")
    try:
        platform = local_platform.up_bare(state)
        roles = local_platform.prepare_aws(platform)
        spec = bootstrap.default_class(roles, region=platform.region, git_url=platform.git.url)["spec"]
        home = tmp_path_factory.mktemp("helm")
        yield Site(platform.kubeconfig, helm, home, Api(platform.kubeconfig), platform, spec)
    finally:
        local_platform.down(state)


@pytest.fixture(scope="module")
def echo(site: Site) -> str:
    """The URI of the smallest model server, in ECR."""
    return push_echo(site.platform)
