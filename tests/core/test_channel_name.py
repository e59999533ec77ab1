import pytest

from efsprov.core.channel_name import check_channel_name, is_channel_name
from efsprov.core.errors import UsageError


@pytest.mark.parametrize("name", ["tensorflow", "torch-2.6", "a", "0", "a_b", "x" * 64])
def test_takes_a_folders_name(name):
    assert check_channel_name(name) == name
    assert is_channel_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/a", ".hidden", "-a", "a-", "A", "Ärger", "a b", "a\n", "a\0", "x" * 65, "x" * 300],
)
def test_refuses_everything_else(name):
    assert not is_channel_name(name)
    with pytest.raises(UsageError, match="cannot name a model") as caught:
        check_channel_name(name, what="model")
    assert len(caught.value.message) < 120
