from pathlib import Path

import yaml

from eep_platform.controlplane import flags

HERE = Path("certificates")


def test_nothing_but_what_service_accounts_do_is_logged() -> None:
    """An administrator's requests, and those of the controllers, would be most of the log."""
    arguments = dict(each.partition("=")[::2] for each in flags.apiserver(1, certificates=HERE, tokens=HERE / "t"))
    policy = yaml.safe_load(Path(arguments["--audit-policy-file"]).read_text())
    assert [(rule["level"], rule.get("userGroups")) for rule in policy["rules"]] == [
        ("None", ["system:serviceaccounts:kube-system"]),
        ("Metadata", ["system:serviceaccounts"]),
        ("None", None),
    ]
    assert arguments["--audit-log-path"] == flags.AUDIT_LOG


def test_the_controllers_have_the_names_that_the_controller_manager_knows() -> None:
    """A wrong name would end it at its start; a duplicate name indicates a bad merge."""
    [listed] = [
        value
        for name, _, value in (
            each.partition("=") for each in flags.controller_manager(HERE / "kubeconfig", certificates=HERE)
        )
        if name == "--controllers"
    ]
    controllers = listed.split(",")
    assert len(set(controllers)) == len(controllers)
    assert all(each.endswith("-controller") for each in controllers)
