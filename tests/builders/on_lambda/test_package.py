import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from efsprov.builders.on_lambda.deploy import BuilderSpec, plan_deployment, remove
from efsprov.builders.on_lambda.package import check_builder_target, make_package, pack_package
from efsprov.core.errors import ConflictError, GateError, NotFoundError, UsageError
from efsprov.core.target import Target
from efsprov.emit.archive import MAX_UNZIPPED, Member
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ROLE, client, zipped
from tests.framework_root import plain_target

MAKE = """
import hashlib, os
from pathlib import Path
from efsprov.builders.on_lambda.package import make_package
from efsprov.core.target import Target
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
settings = installer_settings(InstallerSection(), os.environ, folder=Path.cwd())
print(hashlib.sha256(make_package(Target.parse("{target}"), settings).archive).hexdigest())
"""


def test_the_package_is_the_same_in_another_process_folder_and_cache(tmp_path):
    def made(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        variables = {
            **os.environ,
            "PYTHONHASHSEED": str(number),
            "TZ": "Asia/Tokyo",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        variables |= {"UV_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)}
        code = MAKE.format(target=plain_target())
        done = subprocess.run(
            [sys.executable, "-c", code], env=variables, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert made(1) == made(2)


def test_the_package_keeps_its_distance_from_the_limit(package):
    assert package.unzipped < MAX_UNZIPPED / 2
    assert len(package.archive) < 50_000_000


def test_a_package_over_the_limit_is_refused_with_sizes():
    settings = installer_settings(InstallerSection(), os.environ, folder=Path.cwd())
    with pytest.raises(UsageError) as raised:
        make_package(Target.parse(plain_target()), settings, limit=1_000_000)
    assert "Lambda takes 1,000,000" in raised.value.message
    assert "bin " in raised.value.message


def test_an_archive_over_the_limit_of_a_request_is_refused_with_sizes():
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(1000))
    with pytest.raises(UsageError, match="as a zip; Lambda takes 1,000 in a request"):
        pack_package({"noise": Member(noise)}, upload=1000)


@pytest.mark.parametrize("target", ["python3.9-x86_64", "python3.10-arm64", "python3.11-x86_64-glibc2.36"])
def test_a_target_that_no_function_can_build_for_is_refused(target):
    with pytest.raises(GateError, match="No builder function can build"):
        check_builder_target(Target.parse(target))


class TestDeployment:
    def test_a_change_is_brought_to_the_function_and_nothing_else(self, bench):
        assert bench.deploy().action == "create"
        assert bench.deploy().action == "nothing"
        before = bench.endpoint.count("UpdateFunctionCode")
        changed = bench.deploy(memory=4096)
        assert (changed.action, dict(changed.changes), changed.code) == ("update", {"MemorySize": 4096}, False)
        assert bench.endpoint.count("UpdateFunctionCode") == before

    def test_a_function_of_somebodys_own_is_left_alone(self, bench):
        aws = client(bench.endpoint)
        runtime = plain_target().split("-")[0]
        code = {"ZipFile": zipped(h="")}
        aws.create_function(FunctionName="builder", Runtime=runtime, Role=ROLE, Handler="h.h", Code=code)
        before = aws.get_function_configuration(FunctionName="builder")["RevisionId"]
        with pytest.raises(ConflictError, match="is not a builder function"):
            bench.deploy()
        with pytest.raises(ConflictError, match="not removed"):
            remove(bench.aws, "builder")
        assert aws.get_function_configuration(FunctionName="builder")["RevisionId"] == before

    def test_what_is_not_there_cannot_be_removed(self, bench):
        with pytest.raises(NotFoundError):
            remove(bench.aws, "builder")

    def test_the_plan_of_a_new_function_names_all_of_it(self, package):
        spec = BuilderSpec("b", Target.parse(plain_target()), ROLE, ACCESS_POINT, "/mnt/efs", ("subnet-1",), ("sg-1",))
        plan = plan_deployment(None, {}, spec, package)
        assert plan.action == "create"
        assert (plan.changes["MemorySize"], plan.changes["Timeout"]) == (10_240, 900)
        assert plan.changes["EphemeralStorage"] == {"Size": 10_240}
