import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox.runtime_api import Event, Failure, Next, Response, RuntimeApi, Silence


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    api.close()


def post(api: RuntimeApi, path: str, body: bytes = b"{}") -> int:
    request = urllib.request.Request(f"http://{api.address}/2018-06-01/runtime/{path}", data=body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def soon() -> float:
    return time.monotonic() + 60


def test_event_comes_with_lambdas_headers(api):
    event = Event("r-1", b'{"a": 1}', 1_700_000_000.5, "arn:f", "Root=1-2-3", client_context='{"custom": {}}')
    assert post_next(api, event) == (
        b'{"a": 1}',
        {
            "Lambda-Runtime-Aws-Request-Id": "r-1",
            "Lambda-Runtime-Deadline-Ms": "1700000000500",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:f",
            "Lambda-Runtime-Trace-Id": "Root=1-2-3",
            "Lambda-Runtime-Client-Context": '{"custom": {}}',
        },
    )


def post_next(api: RuntimeApi, event: Event) -> tuple[bytes, dict[str, str]]:
    """Ask for the next event as a runtime does, and put this one in its way."""
    answers = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://{api.address}/2018-06-01/runtime/invocation/next") as answer:
            headers = {name: value for name, value in answer.headers.items() if name.startswith("Lambda-")}
            answers.append((answer.read(), headers))

    asking = threading.Thread(target=ask)
    asking.start()
    waiting = api.next_happening(soon())
    assert isinstance(waiting, Next)
    waiting.answer.put(event)
    asking.join()
    return answers[0]


def test_what_the_runtime_posts_happens_in_its_order(api):
    assert post(api, "init/error", b"1") == 202
    assert api.next_happening(soon()) == Failure(b"1", init=True)
    for request_id, outcome, happening in (("r-1", "response", Response(b"2")), ("r-2", "error", Failure(b"3"))):
        post_next(api, Event(request_id, b"", 0, "arn:f", "Root=1"))
        assert post(api, f"invocation/{request_id}/{outcome}", happening.body) == 202
        assert api.next_happening(soon()) == happening


@pytest.mark.parametrize("request_id", ["r-0", "None"])
def test_answer_for_another_event_is_refused(api, request_id):
    assert post(api, f"invocation/{request_id}/response") == 400
    post_next(api, Event("r-1", b"", 0, "arn:f", "Root=1"))
    assert post(api, f"invocation/{request_id}/response") == 400
    assert post(api, "invocation/r-1/response") == 202
    assert post(api, "invocation/r-1/response") == 400  # once is enough


def test_unknown_path(api):
    assert post(api, "restore/next") == 400
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"http://{api.address}/2018-06-01/runtime/restore/next")
    assert raised.value.code == 404
    raised.value.close()


def test_nothing_happens_in_silence(api):
    assert api.next_happening(time.monotonic()) == Silence()
