"""What a pickle would do, held against Python's own unpickler."""

import contextlib
import io
import os
import pickle
import pickletools

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from efsprov.models.formats.pickles import is_pickle, runs


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


class Recorder(pickle._Unpickler):
    """Python's unpickler, which imports nothing: it notes what it would call. Names are classes that do nothing."""

    called = False

    def find_class(self, module, name):
        recorder = self

        class Named:
            def __new__(cls, *args, **kwargs):
                recorder.called = True
                return super().__new__(cls)

            def __setstate__(self, state):
                recorder.called = True

        return Named


def calls(content):
    recorder = Recorder(io.BytesIO(content))
    with contextlib.suppress(Exception):
        recorder.load()
    return recorder.called


@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_found_in_every_protocol(protocol):
    content = pickle.dumps({"weights": [1.5, 2], "more": Runs()}, protocol)
    assert "system" in runs(content)
    assert runs(content, text=True)
    assert calls(content)
    assert is_pickle(content) == (protocol >= 2)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_calls_nothing(protocol):
    content = pickle.dumps(
        {"a": [1, 2.5, "x", b"y", None, (True,)], "b": {3}} if protocol > 3 else {"a": [1, "x"]}, protocol
    )
    assert runs(content) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR",  # no end is needed
        b"I0x10\n0cos\nsystem\n(S'true'\ntR.",  # a number that C reads and Python does not
        "S'\N{LATIN SMALL LETTER U WITH DIAERESIS}'\n0cos\nsystem\n(S'true'\ntR.".encode(),  # pandas tries Latin-1
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x01cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x82\x01)R.",
        b"ccollections\nOrderedDict\n)R}b.",
    ],
)
def test_ways_to_call(content):
    assert runs(content)
    assert runs(content, text=True)


@pytest.mark.parametrize(
    "content", [b"cat\ndog\nRabbit\nbear\n", b"c\n\n\n", b"", b"N.", b"I1\n.", b"a b c\n", b"import os\n"]
)
def test_texts_that_look_like_instructions_call_nothing(content):
    assert runs(content, text=True) == ""


def test_a_name_alone_counts_outside_of_texts():
    assert runs(b"cantigravity\nfly\n.") == "antigravity.fly"


FRAGMENTS = [
    *(op.code.encode("latin-1") for op in pickletools.opcodes if op.arg is None),
    *(
        b"cos\nsystem\n",
        b"ios\nsystem\n",
        b"S'a'\n",
        b"I1\n",
        b"K\x01",
        b"p0\n",
        b"g0\n",
        b"q\x00",
        b"h\x00",
        b"U\x01a",
    ),
    *(
        b"\x80\x04",
        b"\x8c\x02os",
        b"\x8c\x06system",
        b"\x94",
        b"X\x01\x00\x00\x00a",
        b"L1L\n",
        b"F1\n",
        b"V\\u0041\n",
        b"\n",
    ),
]


CALLS = [
    b"cos\nsystem\n)R",
    b"cos\nsystem\n)\x81",
    b"(ios\nsystem\n",
    b"(cos\nsystem\no",
    b"\x8c\x02os\x8c\x01a\x93)R",
    b"cos\na\n)R}b",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8), st.sampled_from(CALLS))
@settings(max_examples=3000, deadline=None)
def test_whatever_python_would_call_is_found(before, call):
    content = b"".join([*before, call])
    event("called" if (found := calls(content)) else "fails before")
    if found:
        assert runs(content)
        assert runs(content, text=True)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_read(content):
    runs(content)
    is_pickle(content)
