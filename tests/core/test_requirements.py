import pytest

from efsprov.core.errors import UsageError
from efsprov.core.requirements import allows_prerelease, check_requirement, requirement_name


@pytest.mark.parametrize("text", ["", "a b", "==1", "tensorflow=2.15", "x" * 3 + "!", "-r file", "a @ "])
def test_what_is_no_requirement_is_refused(text):
    with pytest.raises(UsageError, match="is not a requirement"):
        check_requirement(text)


def test_names_are_normalised():
    assert requirement_name(check_requirement("  Scikit_Learn[all]>=1 ")) == "scikit-learn"


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("a==1.0rc1", True),
        ("a>=2.0.dev1", True),
        ("a==1.0", False),
        ("a", False),
        ("a @ https://h/a-1-py3-none-any.whl", True),
    ],
)
def test_whether_a_requirement_speaks_of_a_prerelease(text, speaks):
    assert allows_prerelease(text) is speaks
