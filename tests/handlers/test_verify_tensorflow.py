import platform
from collections.abc import Iterator

import pytest

from devtools.lambda_sandbox import LambdaEnvironment

pytestmark = pytest.mark.framework


@pytest.fixture(scope="module")
def environment(attached, tensorflow_root) -> Iterator[LambdaEnvironment]:
    with LambdaEnvironment(attached("verify_tensorflow", tensorflow_root)) as environment:
        yield environment


def test_empty_event_gives_the_determinant_of_the_example(environment, tensorflow_root):
    answer = environment.invoke({})
    assert answer.error is None
    assert answer.payload == {
        "framework": "tensorflow",
        "version": "2.15.0",
        "python": platform.python_version(),
        "determinant": pytest.approx(-2),
        "releases": {"tensorflow": tensorflow_root.release},
    }


@pytest.mark.parametrize(
    ("matrix", "determinant"),
    [([[7]], 7), ([[0, 1], [1, 0]], -1), ([[2.5, 0, 0], [0, 2, 0], [0, 0, -1]], -5), ([[1, 2], [2, 4]], 0)],
)
def test_matrix_of_the_event(environment, matrix, determinant):
    assert environment.invoke({"matrix": matrix}).payload["determinant"] == pytest.approx(determinant)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "the event must be a JSON object"),
        (b"null", "the event must be a JSON object"),
        (b'{"matrix": 1}', '"matrix" must be a list of 1 to 64 rows'),
        (b'{"matrix": []}', '"matrix" must be a list of 1 to 64 rows'),
        (b'{"matrix": [[1, 2], [3]]}', '"matrix" has 2 rows, so each of them must be a list of 2 numbers'),
        (b'{"matrix": [1]}', '"matrix" has 1 rows, so each of them must be a list of 1 numbers'),
        (b'{"matrix": [["1"]]}', '"matrix" may hold only finite numbers'),
        (b'{"matrix": [[true]]}', '"matrix" may hold only finite numbers'),
        (b'{"matrix": [[1e400]]}', '"matrix" may hold only finite numbers'),
        (b'{"matrix": [[1' + b"0" * 400 + b"]]}", '"matrix" may hold only finite numbers'),
        (b'{"matrix": [[1e308, 0], [0, 1e308]]}', "the determinant is too large for a 64-bit float"),
    ],
)
def test_event_that_holds_no_square_matrix(environment, body, message):
    error = environment.invoke(body=body).error
    assert error.type == "ValueError"
    assert error.message.startswith(message)
