import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import EfsprovError, UsageError
from efsprov.core.requirement_file import parse_requirement_file

A, B, C = "a" * 64, "b" * 64, "c" * 64
FILE = f"""\
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
    --hash=sha256:{A} \\
    --hash=sha256:{B}
torch @ https://host/torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl#sha256={C}

"""


def parse(text, **environ):
    return parse_requirement_file(text, where="requirements.txt", environ=environ)


def texts(text, **environ):
    return [line.text for line in parse(text, **environ).lines]


def test_a_requirement_file():
    parsed = parse(FILE)
    assert [(i.name, i.constraint) for i in parsed.includes] == [
        ("more.txt", False),
        ("even-more.txt", False),
        ("glued.txt", False),
        ("constraints.txt", True),
    ]
    assert [line.text for line in parsed.lines] == [
        "tensorflow==2.15",
        'numpy>=1.23,<2 ; python_version < "3.12"',
        "six==1.17.0",
        f"torch @ https://host/torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl#sha256={C}",
    ]
    assert [line.hashes for line in parsed.lines] == [(), (), (A, B), (C,)]
    assert [line.written_hash for line in parsed.lines] == [False, False, True, False]
    assert parsed.options.index_url == "https://host/simple"
    assert parsed.options.extra_index_urls == ("https://host/other",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("six\nnumpy=2.0\n", 2),
        ("six\n\n# x\nfoo bar baz\n", 4),
        (f"six \\\n  --hash=sha256:{A}\n--frobnicate\n", 3),
        ("./here", 1),
        ("six\n-e .", 2),
        ("six\nfile:///x/y.zip", 2),
        ("six>>1 \\\n", 1),
        ("six\ngit+https://host/six.git", 2),
        ("six @ git+ssh://git@host/six.git", 1),
        ("--index-url", 1),
        ("six --hash=sha256:00", 1),
        ("six --hash=md5:%s" % ("0" * 32), 1),
        ("six --hash=sha512:%s" % ("0" * 128), 1),
        ("six --hash 'sha256:x", 1),
        ("--pre six", 1),
        ("--no-binary :all:", 1),
        ("six --config-settings a=b", 1),
        ("--use-feature fast-deps", 1),
        ("six\n//[", 2),
        ("six @ https://[::1/six-1.0-py3-none-any.whl", 1),
        ("https://[x]/six-1.0-py3-none-any.whl", 1),
    ],
)
def test_the_file_and_the_line_at_fault_are_named(text, line):
    with pytest.raises(UsageError, match=f"requirements.txt, line {line}: ") as caught:
        parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("six \\\n  ==1.16.0\n", "six   ==1.16.0"),
        ("si\\\nx\n", "six"),
        ("idna>=3, \\\n  <4 ; \\\n python_version >= '3.8'\n", "idna>=3,   <4 ;  python_version >= '3.8'"),
        ("six \\\n# a comment ends it\n", "six"),
        ("six==1.0#not-a-comment-for-pip\n", None),
    ],
)
def test_lines_are_continued_and_comments_dropped_as_pip_does(text, requirement):
    if requirement is None:
        with pytest.raises(UsageError):
            parse(text)
    else:
        assert texts(text) == [requirement]


def test_variables_stand_for_their_values_and_stay_where_there_are_none():
    assert texts("six==${SIX}\n", SIX="1.16.0") == ["six==1.16.0"]
    parsed = parse("--extra-index-url https://u:${TOKEN}@host/${none}/${UNSET}\n", TOKEN="t")
    assert parsed.options.extra_index_urls == ("https://u:t@host/${none}/${UNSET}",)


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("./wheels/six-1.16.0-py2.py3-none-any.whl", "six @ file:./wheels/six-1.16.0-py2.py3-none-any.whl"),
        (
            "https://h/Six-1.0-py3-none-any.whl ; python_version > '3'",
            "six @ https://h/Six-1.0-py3-none-any.whl ; python_version > '3'",
        ),
        ("file:///a/six-1.0-py3-none-any.whl", "six @ file:///a/six-1.0-py3-none-any.whl"),
    ],
)
def test_a_wheel_by_its_place_alone_has_its_name_in_its_file_name(text, requirement):
    assert texts(text) == [requirement]


@pytest.mark.parametrize(
    "url",
    [
        "file:///home/conda/feedstock_root/build_artifacts/numpy_1700000000000/work",
        "file:///croot/six_1644875935023/work",
        "file:///tmp/build/80754af9/six_1605205327372/work",
    ],
)
def test_a_line_of_conda_says_what_to_write_instead(url):
    with pytest.raises(
        UsageError, match="line 1: six is named by a folder of the machine on which conda built"
    ) as caught:
        parse(f"six @ {url}\n")
    assert "six==VERSION" in caught.value.hint


def test_options_of_a_file_add_up():
    options = parse(
        "-i https://a\n--extra-index-url https://b\n--extra-index https://c\n-fwheels\n--trusted-host h\n--no-index\n"
        "--pre\n--prefer-binary\n--require-hashes\n--only-binary=a,b\n--no-binary=:none:\n--pypi-url https://d\n"
    ).options
    assert options.index_url == "https://d"
    assert options.extra_index_urls == ("https://b", "https://c")
    assert (options.find_links, options.trusted_hosts, options.only_binary) == (("wheels",), ("h",), ("a", "b"))
    assert [options.no_index, options.pre, options.prefer_binary, options.require_hashes] == [True] * 4


def test_no_message_shows_a_password():
    for text in (
        "x @@ https://me:s3cr3t@host/x.whl",
        "git+https://me:s3cr3t@host/x.git",
        "--nope=https://me:s3cr3t@host",
    ):
        with pytest.raises(UsageError) as caught:
            parse(text)
        assert "s3cr3t" not in str(caught.value)


@given(st.text(alphabet=st.sampled_from("six=-r#@ \\\n$\"'{}TOKENc;:/.fhtps[]<>!~é\t"), max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        parse(text, TOKEN="t")
    except EfsprovError as error:
        assert error.hint  # noqa: PT017 (reading it is right as well)


def test_pip_reads_the_same_requirements(tmp_path):
    pip_reader = pytest.importorskip("pip._internal.req.req_file")
    from pip._internal.network.session import PipSession

    file = tmp_path / "requirements.txt"
    file.write_text(FILE.replace("-r more.txt\n", "").replace("--requirement=even-more.txt\n", "")
                    .replace("-rglued.txt\n", "").replace("-c constraints.txt\n", "") + "six \\\n  ==1.16.0\n")  # fmt: skip
    theirs = [r.requirement.strip() for r in pip_reader.parse_requirements(str(file), session=PipSession())]
    assert [
        line.text for line in parse_requirement_file(file.read_text(), where="x", environ=os.environ).lines
    ] == theirs
