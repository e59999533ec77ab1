"""enqueue, worker and status, with moto's SQS, DynamoDB and S3, and a real ONNX model."""

import importlib.util
import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment
from efsprov.store.layout import Root
from efsprov.store.publish import activate
from tests.handlers.aws import EventSource, Requests
from tests.handlers.serving import HANDLERS, SAMPLES, http, push, read

pytestmark = pytest.mark.framework
SIX = {"y": [[6.0, 9.0, 12.0]]}  # [[1, 2]] times [[0, 1, 2], [3, 4, 5]]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def release(root) -> str:
    return push(root, "matmul", SAMPLES / "matmul.onnx")


@pytest.fixture
def run(deploy, onnx_root, boto3_mount, requests_path: Requests, release, tmp_path) -> Iterator:
    """Makes an environment of one of the three functions."""
    root = tmp_path / "root"
    made = []

    def make(name, **settings):
        frameworks = [onnx_root] if name == "worker" else []
        variables = requests_path.variables | {"EFSPROV_MODEL": "matmul", "PREDICTOR": "onnx_model"}
        variables |= settings.pop("variables", {})
        files = [name, "onnx_model"] if name == "worker" else [name]
        made.append(
            LambdaEnvironment(deploy(files, root, frameworks, variables=variables, mounts=boto3_mount, **settings))
        )
        return made[-1]

    yield make
    for environment in made:
        environment.close()


def send(enqueue: LambdaEnvironment, body, **headers) -> tuple[int, dict]:
    answer = enqueue.invoke(http(body, headers=headers))
    assert answer.error is None, answer.logs
    return read(answer.payload)


def ask(status: LambdaEnvironment, key: str) -> tuple[int, dict]:
    answer = status.invoke(http(None, pathParameters={"id": key}))
    assert answer.error is None, answer.logs
    return read(answer.payload)


def test_request_is_queued_answered_and_reported(run, requests_path, release):
    enqueue, worker, status = run("enqueue"), run("worker"), run("status")
    code, result = send(enqueue, {"inputs": [[1, 2]]})
    assert (code, result["status"]) == (202, "queued")
    assert ask(status, result["id"]) == (200, {"id": result["id"], "status": "queued"})
    EventSource(requests_path).drain(worker)
    answer = {"outputs": SIX, "model": "matmul", "release": release}
    assert ask(status, result["id"]) == (200, {"id": result["id"], "status": "done", "answer": answer})


def test_request_larger_than_a_message_and_answer_larger_than_an_item_go_through_s3(run, requests_path):
    enqueue, worker, status = run("enqueue"), run("worker"), run("status")
    rows = [[1.5, 2.5]] * 120_000
    _, result = send(enqueue, {"inputs": rows})
    event = EventSource(requests_path).receive()
    message = json.loads(event["Records"][0]["body"])
    assert message == {
        "id": result["id"],
        "s3": {"bucket": requests_path.bucket, "key": f"requests/{result['id']}.json"},
    }
    source = EventSource(requests_path)
    source.settle(event, source.hand(event, worker))
    _, result = ask(status, result["id"])
    assert result["status"] == "done"
    with urllib.request.urlopen(result["answer_url"]) as response:
        assert json.load(response)["outputs"]["y"] == [[7.5, 11.5, 15.5]] * 120_000


def test_bad_request_is_reported_and_does_not_come_again(run, requests_path):
    enqueue, worker, status = run("enqueue"), run("worker"), run("status")
    good, bad = (send(enqueue, {"inputs": rows})[1]["id"] for rows in ([[1, 2]], [[1, 2, 3]]))
    EventSource(requests_path).drain(worker)
    assert requests_path.waiting(requests_path.queue) == requests_path.waiting(requests_path.dead) == 0
    assert ask(status, good)[1]["status"] == "done"
    _, result = ask(status, bad)
    assert result["status"] == "failed"
    assert result["error"]["code"] == "shape"


def test_repeated_request_is_one(run, requests_path):
    enqueue, worker = run("enqueue"), run("worker")
    key = {"Idempotency-Key": "order-4711"}
    first, second = (send(enqueue, {"inputs": [[1, 2]]}, **key) for _ in range(2))
    assert first == second == (202, {"id": "order-4711", "status": "queued"})
    assert send(enqueue, {"inputs": [[3, 4]]}, **key)[0] == 409
    EventSource(requests_path).drain(worker)
    assert json.loads(requests_path.item("order-4711")["answer"])["outputs"] == SIX
    assert send(enqueue, {"inputs": [[1, 2]]}, **key) == (202, {"id": "order-4711", "status": "done"})
    assert requests_path.waiting(requests_path.queue) == 0


def test_message_that_is_delivered_again_is_answered_once(run, requests_path):
    enqueue, worker = run("enqueue"), run("worker")
    key = send(enqueue, {"inputs": [[1, 2]]})[1]["id"]
    source = EventSource(requests_path)
    event = source.receive()
    assert source.hand(event, worker) == set()
    written = requests_path.item(key)
    assert source.hand(event, worker) == set()
    assert requests_path.item(key) == written


def test_one_message_that_fails_does_not_fail_its_batch(run, requests_path):
    """A body that is not a message, and one whose request is missing, between good ones."""
    enqueue, worker, status = run("enqueue"), run("worker"), run("status")
    sqs = requests_path.aws.client("sqs")
    keys = [send(enqueue, {"inputs": [[1, 2]]})[1]["id"]]
    sqs.send_message(QueueUrl=requests_path.queue, MessageBody="no message")
    keys.append(send(enqueue, {"inputs": [["x" * 1_200_000]]})[1]["id"])
    requests_path.aws.client("s3").delete_object(Bucket=requests_path.bucket, Key=f"requests/{keys[1]}.json")
    keys.append(send(enqueue, {"inputs": [[1, 2]]})[1]["id"])
    source = EventSource(requests_path)
    source.drain(worker)
    assert [ask(status, key)[1]["status"] for key in keys] == ["done", "failed", "done"]
    assert ask(status, keys[1])[1]["error"]["code"] == "gave-up"
    assert source.batches == 3  # two of three messages came again, without those that were answered
    dead = sqs.receive_message(QueueUrl=requests_path.dead, MaxNumberOfMessages=10)["Messages"]
    assert len(dead) == 2
    assert "no message" in {each["Body"] for each in dead}
    assert requests_path.waiting(requests_path.queue) == 0


def test_an_answers_url_names_the_buckets_region(monkeypatch):
    """The global endpoint sends callers on to another host, for which the signature does not hold."""
    for name, value in {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    spec = importlib.util.spec_from_file_location("status_alone", HANDLERS / "status.py")
    status = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(status)
    url = status.S3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "answers/1.json"})
    assert url.startswith("https://bucket.s3.eu-central-1.amazonaws.com/answers/1.json?")


KILLER = """
import os
class BadInputError(ValueError): pass
def predict(body): os._exit(1)
"""


def test_a_worker_that_is_killed_in_the_last_attempt_leaves_nobody_waiting(run, requests_path):
    enqueue, status = run("enqueue"), run("status")
    worker = run("worker", variables={"PREDICTOR": "killer"}, code={"killer.py": KILLER})
    key = send(enqueue, {"inputs": [[1, 2]]})[1]["id"]
    source = EventSource(requests_path)
    source.drain(worker)  # three times, then it is in the dead-letter queue
    assert source.batches == 3
    assert requests_path.waiting(requests_path.dead) == 1
    until = int(requests_path.item(key)["last_until"])
    assert ask(status, key)[1]["status"] == "queued"  # as far as anybody can know
    assert 100 < until - time.time() < 160  # the function's time-out of 120 s, and what clocks may differ by
    requests_path.aws.client("dynamodb").update_item(
        TableName=requests_path.table,
        Key={"id": {"S": key}},
        UpdateExpression="SET last_until = :until",
        ExpressionAttributeValues={":until": {"N": str(int(time.time()) - 1)}},
    )
    _, result = ask(status, key)
    assert (result["status"], result["error"]["code"]) == ("failed", "gave-up")


def test_what_cannot_be_finished_in_time_comes_again(run, requests_path):
    enqueue, worker = run("enqueue"), run("worker", timeout=4)  # less than is left for another message
    send(enqueue, {"inputs": [[1, 2]]})
    worker.init()
    source = EventSource(requests_path)
    event = source.receive()
    assert source.hand(event, worker) == {event["Records"][0]["messageId"]}


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (None, {}, "no-body"),
        ("{nonsense", {}, "not-json"),
        ("[1]", {}, "not-json"),
        ({"inputs": 1}, {"Idempotency-Key": "short"}, "bad-key"),
        ({"inputs": 1}, {"Idempotency-Key": "../../etc/passwd"}, "bad-key"),
        ("x" * 50_000_000, {}, "too-large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_queued(run, requests_path, body, headers, code):
    status, result = send(run("enqueue"), body, **headers)
    assert (status, result["error"]["code"]) == (413 if code == "too-large" else 400, code)
    assert requests_path.waiting(requests_path.queue) == 0


@pytest.mark.parametrize(("key", "status"), [("nobody-asked", 404), ("x", 400), ("../../etc", 400), ("", 400)])
def test_status_of_what_is_not_there(run, key, status):
    assert ask(run("status"), key)[0] == status


def test_failure_of_aws_leaks_nothing(run):
    enqueue = run("enqueue", variables={"TABLE": "no-such-table"})
    status, result = send(enqueue, {"inputs": [[1, 2]]})
    assert (status, result["error"]["code"]) == (500, "internal")
    assert "no-such-table" not in json.dumps(result)


def test_model_is_swapped_while_a_thousand_requests_are_answered(run, requests_path, root, release, samples_of_two):
    """Two workers, started before and after a swap; the model is swapped back and forth all the while."""
    channel = Root.open(root).channel("matmul", kind="model")
    doubled = push(root, "matmul", samples_of_two)
    activate(channel, release)
    enqueue = run("enqueue")
    keys: list[str] = []
    stop, swaps = threading.Event(), 0

    def swap():
        nonlocal swaps
        while not stop.wait(0.1):
            activate(channel, (doubled, release)[swaps % 2])
            swaps += 1

    workers = [run("worker"), run("worker")]
    workers[0].init()
    activate(channel, doubled)
    workers[1].init()
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(20):
            keys += (send(enqueue, {"inputs": [[1, 2]]})[1]["id"] for _ in range(5))
            keys += requests_path.enqueue(45, {"inputs": [[1, 2]]})
            drains = [threading.Thread(target=EventSource(requests_path).drain, args=(each,)) for each in workers]
            for drain in drains:
                drain.start()
            for drain in drains:
                drain.join()
    finally:
        stop.set()
        swapper.join()
    result = requests_path.items()
    assert result.keys() == set(keys)
    assert len(result) == 1000
    assert {item["status"] for item in result.values()} == {"done"}
    assert requests_path.waiting(requests_path.dead) == 0
    answers = [json.loads(item["answer"]) for item in result.values()]
    outputs = {release: [[6.0, 9.0, 12.0]], doubled: [[12.0, 18.0, 24.0]]}
    assert all(answer["outputs"]["y"] == outputs[answer["release"]] for answer in answers)
    by_release = Counter(answer["release"] for answer in answers)
    print(json.dumps({"answers": len(answers), "swaps": swaps, "by_release": by_release}))
    assert by_release.keys() == outputs.keys()
    assert swaps > 10


@pytest.fixture
def samples_of_two(tmp_path):
    """The model of ``matmul.onnx`` with its weights doubled."""
    import struct

    weights = struct.pack("<6f", *range(6))
    content = (SAMPLES / "matmul.onnx").read_bytes()
    assert content.count(weights) == 1
    (tmp_path / "matmul.onnx").write_bytes(content.replace(weights, struct.pack("<6f", *range(0, 12, 2))))
    return tmp_path / "matmul.onnx"
