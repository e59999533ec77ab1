"""Partitions by region, held against the list that botocore brings."""

import pytest
from botocore.loaders import Loader

from efsprov.core.command_words import check_region
from efsprov.core.partition import ec2_principal, partition_of

PARTITIONS = Loader().load_data("partitions")["partitions"]


@pytest.mark.parametrize("known", PARTITIONS, ids=lambda known: known["id"])
def test_every_region_that_botocore_knows_has_its_partition(known):
    regions = [name for name in known["regions"] if not name.endswith("-global")]
    assert regions
    assert {partition_of(region) for region in regions} == {known["id"]}
    assert [check_region(region) for region in regions] == regions


def test_ec2_takes_roles_by_another_name_in_china():
    assert ec2_principal(partition_of("cn-north-1")) == "ec2.amazonaws.com.cn"
    assert ec2_principal(partition_of("eusc-de-east-1")) == "ec2.amazonaws.com"
