"""A builder function that really runs: deployed over boto3, in a sandbox with Lambda's limits, on a root of its own."""

import dataclasses
import functools
import hashlib
import http.server
import io
import os
import threading
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devtools.lambda_sandbox import Bind, Runtime
from devtools.lambda_sandbox.endpoint import LambdaEndpoint
from devtools.lambda_sandbox.fixtures import lambda_runtime
from devtools.strict_aws.backends import rest_json
from devtools.strict_aws.double import StrictAws
from efsprov.aws.session import Aws
from efsprov.builders.on_lambda.builder import LambdaBuilder
from efsprov.builders.on_lambda.deploy import BuilderSpec, deploy
from efsprov.builders.on_lambda.package import Package, make_package
from efsprov.core.build import BuildRequest
from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.target import Target
from efsprov.emit.archive import Member, pack
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from efsprov.store.journal import read_entries, read_state
from efsprov.store.layout import Channel, Root
from efsprov.store.verify import check_channel, check_release
from tests.devtools.lambda_sandbox.calls import ACCESS_POINT, ROLE
from tests.framework_root import plain_target
from tests.local_aws import local_aws
from tests.wheelhouse import build_wheel

__all__ = ["lambda_runtime"]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@dataclass
class Wheelhouse:
    """Wheels in a folder that is served on loopback, as an index's files are."""

    folder: Path
    url: str

    def lock(self, *wheels: Path) -> str:
        packages = tuple(
            LockedPackage(
                wheel.name.split("-")[0],
                wheel.name.split("-")[1],
                (
                    LockedFile(
                        wheel.name,
                        f"{self.url}/{wheel.name}",
                        hashlib.sha256(wheel.read_bytes()).hexdigest(),
                        wheel.stat().st_size,
                    ),
                ),
            )
            for wheel in wheels
        )
        return Lock(packages, plain_target()).dump()


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory) -> Iterator[Wheelhouse]:
    folder = tmp_path_factory.mktemp("wheelhouse")
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield Wheelhouse(folder, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def package() -> Package:
    settings = installer_settings(InstallerSection(), os.environ, folder=Path.cwd())
    return make_package(Target.parse(plain_target()), settings)


def repacked(package: Package, more: Mapping[str, bytes]) -> Package:
    """The package with more files in it."""
    with zipfile.ZipFile(io.BytesIO(package.archive)) as archive:
        members = {i.filename: Member(archive.read(i), bool(i.external_attr >> 16 & 0o100)) for i in archive.infolist()}
    members |= {name: Member(content) for name, content in more.items()}
    return dataclasses.replace(package, archive=pack(members))


@dataclass
class Bench:
    """The builder function ``builder`` on ``root``, behind the strict double; ``events`` are what its runs told."""

    endpoint: LambdaEndpoint
    double: StrictAws
    aws: Aws
    root: Path
    package: Package
    wheelhouse: Wheelhouse
    events: list[Any] = field(default_factory=list)

    def spec(self, **settings: Any) -> BuilderSpec:
        defaults: dict[str, Any] = {
            "name": "builder",
            "target": Target.parse(plain_target()),
            "role": ROLE,
            "access_point": ACCESS_POINT,
            "mount_path": "/mnt/efs",
            "subnets": ("subnet-1",),
            "groups": ("sg-1",),
            "tmp": 1024,
            "memory": 3008,
            "timeout": 120,
        }
        return BuilderSpec(**(defaults | settings))

    def deploy(self, **settings: Any) -> Any:
        return deploy(self.aws, self.spec(**settings), self.package)

    def wheel(self, name: str, *, files: int = 1, size: int = 0, delay: float = 0.0) -> Path:
        """A wheel of ``files`` modules and data of ``size`` bytes; its import takes ``delay`` seconds."""
        inside: dict[str, str | bytes] = {f"{name}/__init__.py": f"import time\ntime.sleep({delay})\nVALUE = 7\n"}
        for number in range(files - 1):
            inside[f"{name}/part{number % 7}/module{number}.py"] = f"VALUE = {number}\n" * 20
        for number in range(size // (1 << 20)):
            inside[f"{name}/data{number}.bin"] = hashlib.sha256(f"{name}{number}".encode()).digest() * (1 << 15)
        return build_wheel(self.wheelhouse.folder, name, "1.0", inside)

    def request(self, *wheels: Path, **fields: Any) -> BuildRequest:
        defaults: dict[str, Any] = {
            "run": uuid.uuid4().hex,
            "root": "/mnt/efs",
            "channel": "tiny",
            "target": plain_target(),
            "requirements": tuple(wheel.name.split("-")[0] for wheel in wheels),
            "imports": tuple(wheel.name.split("-")[0] for wheel in wheels),
            "lock": self.wheelhouse.lock(*wheels),
            "builder": "lambda",
        }
        return BuildRequest(**(defaults | fields))

    def builder(self, **settings: Any) -> LambdaBuilder:
        return LambdaBuilder(
            self.aws, "builder", sleep=lambda seconds: threading.Event().wait(min(seconds, 0.2)), **settings
        )

    def run(self, request: BuildRequest) -> Any:
        return self.builder().run(request, self.events.append)

    def channel(self, name: str = "tiny") -> Channel:
        return Root.open(self.root).channel(name, plain_target())

    def releases(self) -> list[str]:
        return [entry.release for entry in read_entries(self.channel()) if entry.do == "publish"]

    def assert_one_verified_release(self, release: str) -> None:
        assert self.releases() == [release]
        assert self.channel().release_ids() == (release,)
        assert read_state(self.channel()).current == release
        assert check_release(self.channel(), release, full=True) == ()
        assert check_channel(self.channel()) == ()

    def builds(self) -> int:
        """How many build events were sent."""
        return sum(
            b'"do": "build"' in r.parameters.get("Payload", b"")
            for r in self.endpoint.requests
            if r.operation == "Invoke"
        )


@pytest.fixture
def bench(tmp_path: Path, lambda_runtime: Runtime, package: Package, wheelhouse: Wheelhouse) -> Iterator[Bench]:
    root = tmp_path / "efs"
    root.mkdir()
    mounts = {ACCESS_POINT: Bind(root, "/mnt/efs", read_only=False)}
    with (
        LambdaEndpoint({lambda_runtime.name: lambda_runtime}, mounts=mounts) as endpoint,
        StrictAws({"lambda": rest_json(endpoint)}) as double,
    ):
        yield Bench(endpoint, double, local_aws(**{"lambda": double.url}), root, package, wheelhouse)
