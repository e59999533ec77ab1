import pytest

from efsprov.core.access_point import access_point_id
from efsprov.core.errors import UsageError

ID = "fsap-0123456789abcdef0"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_an_id_and_an_arn_name_the_same(partition):
    assert access_point_id(ID) == ID
    arn = f"arn:{partition}:elasticfilesystem:eusc-de-east-1:123456789012:access-point/{ID}"
    assert access_point_id(arn) == ID


@pytest.mark.parametrize(
    "text",
    ["", "fsap-", "fs-0123456789abcdef0", f"{ID}*", f"arn:aws:elasticfilesystem:eu-west-1:*:access-point/{ID}",
     "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-01234567", f"{ID}\n"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="is not an access point"):
        access_point_id(text)
