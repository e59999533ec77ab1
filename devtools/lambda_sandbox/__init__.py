"""Functions run here as Lambda runs them: Amazon's runtime interface client, against a local Runtime API, in a sandbox."""

from devtools.lambda_sandbox.environment import FunctionError, Invocation, LambdaEnvironment
from devtools.lambda_sandbox.function import Function
from devtools.lambda_sandbox.runtime import Runtime
from devtools.lambda_sandbox.sandbox import Bind, SandboxUnavailableError, unavailable

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
