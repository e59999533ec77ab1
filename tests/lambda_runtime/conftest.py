from tests.lambda_runtime.fixtures import lambda_runtime

__all__ = ["lambda_runtime"]
