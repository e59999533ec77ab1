"""The whole of it on a real NFSv4.1 mount: boto3, Amazon's runtime client, a build, a root on a server."""

import json
import sys
from pathlib import Path

import pytest

from devtools.nfs_lab.fixtures import nfs_guest, shared_guest
from tests.framework_root import plain_target

__all__ = ["nfs_guest", "shared_guest"]

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.lab
@pytest.mark.xdist_group("lab")
@pytest.mark.parametrize("kills", [0, 4])
def test_a_build_on_nfs_ends_in_one_verified_release(nfs_guest, lambda_runtime, package, tmp_path, kills):
    archive = tmp_path / "package.zip"
    archive.write_bytes(package.archive)
    program = [
        sys.executable,
        "-m",
        "tests.builders.on_lambda.lab_program",
        "/mnt/a/efs",
        lambda_runtime.no_packages.parent,
    ]
    arguments = [str(argument) for argument in (*program, archive, tmp_path / "scratch", kills)]
    done = nfs_guest.run(
        "a", arguments, env={"PYTHONPATH": str(REPOSITORY)}, cwd=str(REPOSITORY), timeout=900, check=True
    )
    response = json.loads(done.stdout.splitlines()[-1])
    print(response)
    assert response["root"] == "nfs4"
    assert response["killed"] >= kills
    assert response["invocations"] == response["killed"] + 1
    seen = nfs_guest.run(
        "b", ["ls", f"/mnt/b/efs/deps/tiny/{plain_target()}/current/site/{response['package']}"], check=True
    )
    assert "__init__.py" in seen.stdout
