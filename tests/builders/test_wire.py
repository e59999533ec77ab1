"""The lines between a builder and its orchestrator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.builders.remote import wire
from efsprov.core.build import BuildResult
from efsprov.core.errors import BuilderError, EfsprovError, GateError
from efsprov.core.events import Event

RESULT = BuildResult(outcome="published", release="20261121T063000Z-3f2a9c1b", path="/mnt/efs", activated=True)
texts = st.text(max_size=200)


def classes(kind=EfsprovError):
    return [kind, *(below for child in kind.__subclasses__() for below in classes(child))]


@given(st.integers(0, 10**9), texts, st.sampled_from(["note", "progress", "warning"]), st.integers(0, 10**12))
def test_an_event_comes_back_as_it_was(number, message, state, done):
    event = Event(step="stage", state=state, message=message, done=done)
    line = wire.parse(wire.Line(number, "event", wire.event_body(event)).dump())
    assert line.number == number
    assert wire.read_event(line) == event


@pytest.mark.parametrize("kind", [kind for kind in classes() if "code" in vars(kind)], ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_the_same_class(kind):
    line = wire.parse(wire.Line(3, "error", wire.error_body(kind("what", hint="how"))).dump())
    assert line.last
    with pytest.raises(kind) as caught:
        wire.read_result(line)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("what", "how")


def test_an_error_of_a_kind_that_is_only_known_there_comes_back_as_its_base():
    class OneSpecialError(GateError):
        def __init__(self, wheel):
            super().__init__(f"{wheel} does not fit", hint="how")

    line = wire.parse(wire.Line(3, "error", wire.error_body(OneSpecialError("tiny"))).dump())
    with pytest.raises(GateError, match="tiny does not fit") as caught:
        wire.read_result(line)
    assert type(caught.value) is GateError


def test_a_result_comes_back():
    line = wire.parse(wire.Line(9, "result", RESULT.model_dump(mode="json")).dump())
    assert line.last
    assert wire.read_result(line) == RESULT


def test_an_unknown_error_is_a_builders():
    with pytest.raises(BuilderError):
        wire.read_result(wire.Line(1, "error", {"code": "of a later version", "message": "m", "hint": ""}))


@pytest.mark.parametrize(
    "text",
    [b"", b"Last login: Sat Nov 21", b"{}", b"[]", b"null", b'{"number": 1}', b'{"number": "1", "event": {}}', b'{"number": 1, "event": []}',
     b'{"number": 1, "sermon": {}}', b'{"number": 1, "event": {}, "result": {}}', b"\xff\xfe", b'{"number": true, "event": {}}'],
)  # fmt: skip
def test_what_is_no_line_is_reported_as_such(text):
    with pytest.raises(BuilderError, match="is not a line of a build") as caught:
        wire.parse(text)
    assert "start-up file" in caught.value.hint


@given(st.binary(max_size=300))
def test_junk_never_gets_further(junk):
    try:
        line = wire.parse(junk)
    except BuilderError:
        return
    assert isinstance(line.number, int)


@given(st.text(max_size=50000))
def test_long_messages_keep_their_beginning_and_end(text):
    shown = wire.cut(text)
    assert len(shown) <= 8100
    if len(text) > 8000:
        assert shown.startswith(text[:2000])
        assert shown.endswith(text[-6000:])
        assert "left out" in shown
    else:
        assert shown == text


def test_a_gate_error_is_bounded_too():
    assert len(wire.error_body(GateError("x" * 10**6))["message"]) < 8100
