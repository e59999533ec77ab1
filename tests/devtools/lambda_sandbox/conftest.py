from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.lambda_sandbox import Bind, Runtime
from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.lambda_sandbox.fixtures import lambda_runtime
from tests.devtools.lambda_sandbox.calls import CODE, ROLE, client

__all__ = ["lambda_runtime"]


@pytest.fixture
def mounts() -> dict[str, Path | Bind]:
    return {}


@pytest.fixture
def endpoint(lambda_runtime: Runtime, mounts: dict[str, Path | Bind]) -> Iterator[LambdaEndpoint]:
    with LambdaEndpoint({lambda_runtime.name: lambda_runtime}, mounts=mounts) as endpoint:
        yield endpoint


@pytest.fixture
def aws(endpoint: LambdaEndpoint) -> Any:
    return client(endpoint)


@pytest.fixture
def create(aws: Any, lambda_runtime: Runtime) -> Callable[..., Any]:
    """Creates a function and waits until it is active, as a client has to; returns its configuration."""

    def make(handler: str = "ordinary.echo", name: str = "function", code: bytes = CODE, **settings: Any) -> Any:
        settings = {
            "Runtime": lambda_runtime.name,
            "Timeout": 30,
            "Role": ROLE,
        } | settings
        aws.create_function(FunctionName=name, Handler=handler, Code={"ZipFile": code}, **settings)
        return aws.get_function_configuration(FunctionName=name)

    return make
