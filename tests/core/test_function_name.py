"""Functions as people name them."""

import pytest

from efsprov.core.errors import UsageError
from efsprov.core.function_name import changeable_function

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:resize"


@pytest.mark.parametrize("name", ["resize", "123456789012:function:resize", ARN, ARN.replace("aws:", "aws-us-gov:", 1)])
def test_the_function_itself_can_be_changed(name):
    assert changeable_function(name) == name
    assert changeable_function(f"{name}:$LATEST") == name


@pytest.mark.parametrize("name", ["resize", "123456789012:function:resize", ARN])
@pytest.mark.parametrize(("qualifier", "words"), [("7", "the version 7"), ("live", "the alias live")])
def test_what_is_published_cannot(name, qualifier, words):
    with pytest.raises(UsageError, match=words) as caught:
        changeable_function(f"{name}:{qualifier}")
    assert f"--function {name} --publish --alias" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "a b", "resize:", "resize:a:b", "résumé", "arn:aws:s3:::bucket", "a/b", "resize\n"]
)
def test_anything_else_is_no_function(name):
    with pytest.raises(UsageError, match="is not a function"):
        changeable_function(name)
