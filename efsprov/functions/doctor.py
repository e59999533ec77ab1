"""All the rules, in the order in which things go wrong."""

from typing import Final

from efsprov.functions import function_checks, network_checks, storage_checks
from efsprov.functions.facts import Facts
from efsprov.functions.finding import Finding

RULES: Final = (
    function_checks.check_credentials,
    function_checks.check_function,
    function_checks.check_concurrency,
    function_checks.check_mount_path,
    storage_checks.check_file_system,
    storage_checks.check_burst_credits,
    network_checks.check_vpc,
    network_checks.check_port,
    network_checks.check_dns,
    storage_checks.check_identity_on_root,
    storage_checks.check_permissions,
    function_checks.check_target,
    function_checks.check_shim,
    function_checks.check_limits,
    network_checks.check_way_out,
    storage_checks.check_lifecycle,
    storage_checks.check_disk_space,
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Hold every rule against the facts; pure."""
    return tuple(finding for rule in RULES for finding in rule(facts))
