"""What the tests of the endpoint say to it."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint

SAMPLES = Path(__file__).with_name("samples")
ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
ON_EFS: dict[str, Any] = {
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    "FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs"}],
}
ROLE = "arn:aws:iam::123456789012:role/r"


def zipped(**files: str | bytes) -> bytes:
    """An archive; ``__`` in a name stands for a slash and every name gets ``.py``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/") + ".py", content)
    return buffer.getvalue()


CODE = zipped(ordinary=(SAMPLES / "ordinary.py").read_bytes())


def client(endpoint: LambdaEndpoint, **config: Any) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=botocore.config.Config(**config),
    )


def code_of(raised: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def wait_for_files(folder: Path, files: int = 1) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < files:
        assert time.monotonic() < deadline
        time.sleep(0.01)
