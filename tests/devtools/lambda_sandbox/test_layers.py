import json
import urllib.error
import urllib.request

import pytest

from tests.devtools.lambda_sandbox.calls import CODE, zipped


class TestLayers:
    def test_function_imports_from_its_layers(self, aws, create):
        layers = [
            aws.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(**files)})["LayerVersionArn"]
            for name, files in {
                "low": {"python__a": "WHO = 'low'", "python__b": "WHO = 'low'"},
                "high": {"python__b": "WHO = 'high'"},
            }.items()
        ]
        configuration = create("ordinary.load", Layers=layers)
        assert [layer["Arn"] for layer in configuration["Layers"]] == layers
        answers = [json.load(aws.invoke(FunctionName="function", Payload=f'"{m}"')["Payload"]) for m in "ab"]
        assert answers == ["low", "high"]

    def test_versions_count_up_for_ever(self, aws):
        for expected in (1, 2):
            made = aws.publish_layer_version(
                LayerName="l",
                Description=f"number {expected}",
                Content={"ZipFile": CODE},
                CompatibleRuntimes=["python3.11"],
            )
            assert made["Version"] == expected
            assert made["LayerVersionArn"] == f"{made['LayerArn']}:{expected}"
        aws.delete_layer_version(LayerName="l", VersionNumber=2)
        aws.delete_layer_version(LayerName="l", VersionNumber=2)
        assert aws.publish_layer_version(LayerName="l", Content={"ZipFile": CODE})["Version"] == 3
        listed = aws.list_layer_versions(LayerName="l")["LayerVersions"]
        assert [version["Version"] for version in listed] == [3, 1]
        compatible = aws.list_layer_versions(LayerName="l", CompatibleRuntime="python3.11")["LayerVersions"]
        assert [version["Version"] for version in compatible] == [1]
        one = aws.get_layer_version(LayerName="l", VersionNumber=1)
        assert one["Description"] == "number 1"
        assert one["Content"] == aws.get_layer_version_by_arn(Arn=one["LayerVersionArn"])["Content"]
        with urllib.request.urlopen(one["Content"]["Location"]) as archive:
            assert archive.read() == CODE
        with pytest.raises(aws.exceptions.ResourceNotFoundException):
            aws.get_layer_version(LayerName="l", VersionNumber=2)

    def test_deleted_version_stays_with_its_functions(self, aws, create):
        content = {"ZipFile": zipped(python__a="WHO = 'still here'")}
        layer = aws.publish_layer_version(LayerName="l", Content=content)["LayerVersionArn"]
        create("ordinary.load", Layers=[layer])
        aws.delete_layer_version(LayerName="l", VersionNumber=1)
        assert json.load(aws.invoke(FunctionName="function", Payload=b'"a"')["Payload"]) == "still here"
