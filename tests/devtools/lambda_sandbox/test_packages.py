import io
import json
import stat
import zipfile

import botocore.config
import botocore.exceptions
import pytest

from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from tests.devtools.lambda_sandbox.calls import CODE, ROLE, client, code_of, zipped


class TestPackages:
    def test_modes_and_links_are_kept(self, aws, create):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(
                "h.py", "import os, subprocess\ndef f(e, c): return subprocess.check_output(['./link']).decode()"
            )
            tool = zipfile.ZipInfo("bin/tool")
            tool.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(tool, "#!/bin/sh\necho run\n")
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "bin/tool")
        create("h.f", code=buffer.getvalue())
        assert json.load(aws.invoke(FunctionName="function")["Payload"]) == "run\n"

    def test_package_from_s3(self, lambda_runtime):
        objects = {("bucket", "key", None): CODE}
        with LambdaEndpoint(
            {lambda_runtime.name: lambda_runtime}, read_object=lambda *where: objects[where]
        ) as endpoint:
            aws = client(endpoint)
            settings = {
                "Runtime": lambda_runtime.name,
                "Role": ROLE,
                "Handler": "ordinary.echo",
            }
            made = aws.create_function(FunctionName="f", Code={"S3Bucket": "bucket", "S3Key": "key"}, **settings)
            assert made["CodeSize"] == len(CODE)
            with pytest.raises(aws.exceptions.InvalidParameterValueException, match="NoSuchKey"):
                aws.create_function(FunctionName="g", Code={"S3Bucket": "bucket", "S3Key": "other"}, **settings)

    @pytest.mark.parametrize(
        ("package", "code", "message"),
        [
            (b"not a zip", "InvalidParameterValueException", "Could not unzip"),
            (zipped(**{"..__x": "x"}), "InvalidParameterValueException", "Could not unzip"),
            (bytes(52_700_000), "RequestTooLargeException", "70167211"),
        ],
        ids=["not a zip", "outside", "too large"],
    )
    def test_that_lambda_would_refuse(self, aws, create, package, code, message):
        create()
        with pytest.raises(botocore.exceptions.ClientError, match=message) as raised:
            aws.update_function_code(FunctionName="function", ZipFile=package)
        assert code_of(raised) == code

    def test_unpacked_size_counts_layers(self, aws, create):
        create()
        half = zipfile_of_zeros(140_000_000)
        layers = [
            aws.publish_layer_version(LayerName=name, Content={"ZipFile": half})["LayerVersionArn"] for name in "ab"
        ]
        with pytest.raises(aws.exceptions.InvalidParameterValueException, match="262144000"):
            aws.update_function_configuration(FunctionName="function", Layers=layers)
        aws.update_function_configuration(FunctionName="function", Layers=layers[:1])


def zipfile_of_zeros(size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(size))
    return buffer.getvalue()
