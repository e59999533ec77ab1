import pytest

from efsprov.core.errors import UsageError
from efsprov.core.requirements import allows_prerelease, check_requirement, parse_requirement_file, requirement_name

FILE = """\
# a comment
tensorflow==2.15   # and another
-r more.txt
--requirement=even-more.txt
-rglued.txt
-c constraints.txt
--index-url https://host/simple
--extra-index-url=https://host/other
numpy>=1.23,<2 ; python_version < "3.12"
six==1.17.0 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
torch @ https://host/torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl#sha256=cc

"""


def test_a_requirement_file():
    parsed = parse_requirement_file(FILE, where="requirements.txt")
    assert parsed.includes == ("more.txt", "even-more.txt", "glued.txt")
    assert parsed.requirements == (
        "tensorflow==2.15",
        'numpy>=1.23,<2 ; python_version < "3.12"',
        "six==1.17.0",
        "torch @ https://host/torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl#sha256=cc",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("six\nnumpy=2.0\n", 2),
        ("six\n\n# x\nfoo bar baz\n", 4),
        ("six \\\n  --hash=sha256:00\n--frobnicate\n", 3),
        ("./here", 1),
        ("six\n-e .", 2),
        ("six\nfile:///x/y.whl", 2),
        ("six>>1 \\\n", 1),
    ],
)
def test_the_file_and_the_line_at_fault_are_named(text, line):
    with pytest.raises(UsageError, match=f"requirements.txt, line {line}: "):
        parse_requirement_file(text, where="requirements.txt")


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
