import os

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Whatever engine a machine has would pull base images from the Internet.
os.environ["EEP_BUILD_ENGINE"] = "engineless"

pytest_plugins = [
    "tests.fixtures.containers",
    "tests.fixtures.controlplane",
    "tests.fixtures.disk",
    "tests.fixtures.gateway",
    "tests.fixtures.platform",
    "tests.fixtures.operator",
    "tests.fixtures.tools",
    "tests.fixtures.aws",
    "tests.fixtures.kubernetes",
    "tests.fixtures.controllers",
]
