pytest_plugins = [
    "tests.fixtures.containers",
    "tests.fixtures.controlplane",
    "tests.fixtures.operator",
    "tests.fixtures.platform",
]
