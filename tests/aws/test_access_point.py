"""Lambda wants an access point's ARN; people have its id."""

import pytest

from efsprov.aws.access_point import access_point_arn
from efsprov.core.errors import UsageError

ID = "fsap-0123456789abcdef0"
ARN = f"arn:aws:elasticfilesystem:eu-west-1:210987654321:access-point/{ID}"


def test_an_arn_stays_what_it_is_and_nobody_is_asked(fake, aws):
    assert access_point_arn(ARN, aws) == ARN
    assert fake.named("sts:GetCallerIdentity") == []


def test_an_id_is_that_of_the_callers_account_and_region(aws):
    assert access_point_arn(ID, aws) == f"arn:aws:elasticfilesystem:{aws.region}:123456789012:access-point/{ID}"


def test_anything_else_is_refused(aws):
    with pytest.raises(UsageError, match="is not an access point"):
        access_point_arn("fs-01234567", aws)
