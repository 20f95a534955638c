from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

pytest_plugins = [
    "tests.fixtures.containers",
    "tests.fixtures.controlplane",
    "tests.fixtures.operator",
    "tests.fixtures.platform",
    "tests.fixtures.tools",
]
