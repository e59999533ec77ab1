"""Functions run here as Lambda runs them: Amazon's runtime interface client, against a local Runtime API, in a sandbox."""

from tests.lambda_runtime.environment import FunctionError, Invocation, LambdaEnvironment
from tests.lambda_runtime.function import Function
from tests.lambda_runtime.runtime import Runtime
from tests.lambda_runtime.sandbox import Bind, SandboxUnavailableError, unavailable

__all__ = [
    "Bind",
    "Function",
    "FunctionError",
    "Invocation",
    "LambdaEnvironment",
    "Runtime",
    "SandboxUnavailableError",
    "unavailable",
]
