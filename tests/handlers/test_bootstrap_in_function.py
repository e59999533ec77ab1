"""What `import efsprov.bootstrap` does inside a function, on a root that holds a package of one module."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.lambda_sandbox import Bind, Function, LambdaEnvironment, Runtime
from tests.framework_root import plain_target

OLD, NEW = "20261121T063000Z-3f2a9c1b", "20261122T063000Z-0a1b2c3d"

HANDLER = """
import efsprov.bootstrap

# isort: split
import tiny


def handler(event, context):
    from tiny import late
    return {"event": event, "versions": [tiny.VERSION, late.VERSION], "release": efsprov.bootstrap.releases["tiny"].id}
"""


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """The folder of channel ``tiny`` for this interpreter, with two releases, the old one current."""
    series = tmp_path / "root" / "deps" / "tiny" / plain_target()
    for release in (OLD, NEW):
        package = series / "releases" / release / "site" / "tiny"
        package.mkdir(parents=True)
        for module in ("__init__", "late"):
            (package / f"{module}.py").write_text(f"VERSION = {release!r}\n")
    (series / "current").symlink_to(f"releases/{OLD}")
    return series


@pytest.fixture
def deployed(lambda_runtime: Runtime, bootstrap_layer: Path, tmp_path: Path) -> Callable[..., Function]:
    """A function that imports ``tiny``; variables can be added, or taken away with None."""

    def make(**variables: str | None) -> Function:
        code = tmp_path / "code"
        code.mkdir(exist_ok=True)
        (code / "tiny_handler.py").write_text(HANDLER)
        (tmp_path / "root").mkdir(exist_ok=True)
        merged = {"EFSPROV_ROOT": "/mnt/efs", "EFSPROV_CHANNEL": "tiny"} | variables
        return Function(
            runtime=lambda_runtime,
            code=code,
            handler="tiny_handler.handler",
            variables={name: value for name, value in merged.items() if value is not None},
            layers=[bootstrap_layer],
            mounts={"/mnt/efs": Bind(tmp_path / "root", "/mnt/efs")},
            timeout=30,
        )

    return make


def test_function_answers_from_the_current_release(series, deployed):
    with LambdaEnvironment(deployed()) as environment:
        answer = environment.invoke({"a": 1})
    assert answer.payload == {"event": {"a": 1}, "versions": [OLD, OLD], "release": OLD}


def test_warm_environment_keeps_its_release_and_a_new_one_gets_the_new(series, deployed):
    with LambdaEnvironment(deployed()) as warm, LambdaEnvironment(deployed()) as later:
        warm.init()
        (series / "next").symlink_to(f"releases/{NEW}")
        (series / "next").rename(series / "current")
        assert warm.invoke().payload["versions"] == [OLD, OLD]  # one of them imported after the swap
        assert later.invoke().payload["versions"] == [NEW, NEW]


def test_pinned_release_is_used(series, deployed):
    with LambdaEnvironment(deployed(EFSPROV_RELEASE=NEW)) as environment:
        assert environment.invoke().payload["release"] == NEW


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"EFSPROV_ROOT": None}, "EFSPROV_ROOT is not set"),
        ({"EFSPROV_ROOT": "/mnt/nowhere"}, "no channel 'tiny'; /mnt/nowhere/deps does not exist"),
        ({"EFSPROV_CHANNEL": None}, "EFSPROV_CHANNEL is not set"),
        ({"EFSPROV_CHANNEL": "huge"}, "no channel 'huge'"),
    ],
)
def test_what_cannot_be_pinned_is_an_import_error_of_the_init_phase(series, deployed, variables, reason):
    with LambdaEnvironment(deployed(**variables)) as environment:
        answer = environment.invoke()
    assert answer.error.type == "Runtime.ImportModuleError"
    assert answer.error.message.startswith(f"Unable to import module 'tiny_handler': {reason}")
    assert f"[ERROR] Runtime.ImportModuleError: {answer.error.message}" in answer.logs


def test_channel_without_a_release_for_the_runtime(series, deployed):
    series.rename(series.with_name("python3.9-x86_64"))
    with LambdaEnvironment(deployed()) as environment:
        answer = environment.invoke()
    assert answer.error.type == "Runtime.ImportModuleError"
    assert f"has nothing for {plain_target()}" in answer.error.message
    assert "python3.9-x86_64" in answer.error.message
