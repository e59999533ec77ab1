"""Resolving with the real uv, among wheels that lie in a folder: no index, no network."""

import pytest

from efsprov.core.errors import FetchError, GateError, ResolveError, UsageError
from efsprov.core.lock import parse_lock
from efsprov.core.target import host_target, lambda_target, targets_for
from efsprov.pipeline.resolve.requirement_files import read_requirements
from efsprov.pipeline.resolve.resolve import ResolveRequest, resolve
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from tests.pipeline.web import serve
from tests.wheelhouse import build_wheel

AL2 = lambda_target("python3.11", "x86_64")


def many(folder, name, version, tags, **more):
    for tag in tags:
        build_wheel(folder, name, version, {}, tag=tag, **more)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """frame is tensorflow's like, fire is torch's, with a CUDA build; grid steps back to an older version by itself."""
    folder = tmp_path_factory.mktemp("wheels")
    x86, arm = "manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_17_aarch64"
    many(folder, "frame", "2.15", [f"cp{v}-cp{v}-{p}" for v in (39, 310, 311) for p in (x86, arm)], requires=["grid<3"])
    many(folder, "frame", "2.16", [f"cp312-cp312-{x86}"])
    many(folder, "grid", "1.0", ["cp37-abi3-manylinux_2_17_x86_64", "py3-none-any"])
    many(folder, "grid", "2.0", ["cp37-abi3-manylinux_2_28_x86_64"])
    many(folder, "fire", "2.6", [f"cp{v}-cp{v}-manylinux1_x86_64" for v in (311, 312)])
    many(folder, "fire", "2.7", [f"cp{v}-cp{v}-manylinux_2_28_x86_64" for v in (311, 312, 313)])
    many(folder, "between", "1.0", ["cp311-cp311-manylinux_2_24_x86_64"])
    many(folder, "musl", "1.0", ["cp311-cp311-musllinux_1_2_x86_64"])
    many(folder, "intel", "1.0", [f"py3-none-{x86}"])
    many(folder, "early", "1.0", [f"cp313-cp313-{x86}"])
    many(folder, "early", "2.0rc1", [f"cp314-cp314-{x86}", f"cp313-cp313-{x86}"])
    many(folder, "needy", "1.0", ["py3-none-any"], requires=["fire==2.7"])
    many(folder, "torch", "2.6.0", ["cp311-cp311-manylinux1_x86_64"], requires=["nvidia-cublas-cu12==1.0"])
    many(folder, "torch", "2.5.0", ["cp311-cp311-manylinux1_x86_64"])
    many(folder, "nvidia-cublas-cu12", "1.0", ["py3-none-manylinux2014_x86_64"])
    return folder


@pytest.fixture
def settings(wheels, tmp_path):
    """Settings of somebody whose machine has no network: PyTorch's own index cannot be reached either."""
    environ = {"UV_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "HOME": str(tmp_path)}
    return installer_settings(InstallerSection(), environ, folder=tmp_path)


@pytest.fixture
def ask(settings):
    def ask(*requirements, targets=(AL2,), **more):
        read = read_requirements(requirements, more.pop("requirement_files", ()), environ={})
        return resolve(ResolveRequest(read, tuple(targets), more.pop("settings", settings), **more))

    return ask


def files(resolution):
    return [package.file.filename for package in resolution.lock.packages]


def test_one_wheel_of_each_package_with_its_hash(ask):
    resolution = ask("frame==2.15")
    assert files(resolution) == [
        "frame-2.15-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "grid-1.0-cp37-abi3-manylinux_2_17_x86_64.whl",
    ]
    assert resolution.requested == ("frame",)
    assert parse_lock(resolution.lock_text) == resolution.lock
    assert resolution.lock.target == "python3.11-x86_64"
    assert (resolution.notes, resolution.consents) == ((), ())


def test_the_same_question_gives_the_same_lock(ask):
    assert ask("frame==2.15").lock_text == ask("frame==2.15").lock_text


def test_it_steps_back_to_the_newest_version_that_fits(ask):
    assert files(ask("grid")) == ["grid-1.0-cp37-abi3-manylinux_2_17_x86_64.whl"]
    assert files(ask("grid", targets=[lambda_target("python3.12", "x86_64")])) == [
        "grid-2.0-cp37-abi3-manylinux_2_28_x86_64.whl"
    ]


def test_another_architecture(ask):
    assert files(ask("frame", targets=[lambda_target("python3.11", "arm64")])) == [
        "frame-2.15-cp311-cp311-manylinux_2_17_aarch64.whl",
        "grid-1.0-py3-none-any.whl",
    ]


def test_auto_takes_the_newest_runtime_that_every_wheel_supports(ask):
    resolution = ask("frame==2.15", targets=targets_for("auto", "x86_64"))
    assert resolution.target.runtime == "python3.11"
    assert resolution.notes[0].startswith("python3.14, python3.13 and python3.12 are passed over: ")
    assert ask("frame", "grid", targets=targets_for("auto", "x86_64")).target.runtime == "python3.12"


def test_auto_prefers_a_finished_version_to_a_newer_runtime(ask):
    resolution = ask("early", targets=targets_for("auto", "x86_64"))
    assert (resolution.target.runtime, resolution.lock.packages[0].version) == ("python3.13", "1.0")
    asked_for = ask("early==2.0rc1", targets=targets_for("auto", "x86_64"))
    assert asked_for.target.runtime == "python3.14"
    only = ask("early", targets=[lambda_target("python3.14", "x86_64")])
    assert only.lock.packages[0].version == "2.0rc1"
    assert "is a pre-release" in only.notes[0]


def test_a_wrong_interpreter_names_the_runtimes_that_would_do(ask):
    with pytest.raises(GateError) as caught:
        ask("frame==2.15", targets=[lambda_target("python3.12", "x86_64")])
    assert (
        "frame 2.15: its wheels are for CPython 3.9, CPython 3.10 or CPython 3.11, the target is CPython 3.12"
        in caught.value.message
    )
    assert "python3.9, python3.10 and python3.11 would do" in caught.value.hint
    assert "frame 2.16 is the newest that fits" in caught.value.hint


def test_too_old_a_glibc_says_from_which_runtime_on_it_works(ask):
    with pytest.raises(GateError) as caught:
        ask("fire==2.7")
    assert "fire 2.7: its wheels need glibc 2.28, the runtime has 2.26" in caught.value.message
    assert "From python3.12 on it works: python3.12 and python3.13 would do" in caught.value.hint
    assert "fire 2.6 is the newest that fits" in caught.value.hint


def test_what_came_along_is_named_if_it_is_to_blame(ask):
    with pytest.raises(GateError, match=r"fire 2\.7: its wheels need glibc 2\.28"):
        ask("needy")


def test_wheels_between_the_platforms_that_uv_knows(ask):
    assert files(ask("between")) == ["between-1.0-cp311-cp311-manylinux_2_24_x86_64.whl"]
    with pytest.raises(GateError, match=r"need glibc 2\.24, this machine has 2\.20"):
        ask("between", targets=[host_target(python="3.11", arch="x86_64", glibc=(2, 20))])


def test_only_another_architecture_has_wheels(ask):
    with pytest.raises(GateError) as caught:
        ask("intel", targets=[lambda_target("python3.11", "arm64")])
    assert "intel 1.0: its wheels are for x86_64, the target is aarch64" in caught.value.message
    assert "--arch x86_64" in caught.value.hint


def test_no_runtime_has_wheels(ask):
    for targets in ([AL2], targets_for("auto", "x86_64")):
        with pytest.raises(ResolveError, match="musl") as caught:
            ask("musl", targets=targets)
        assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("requirements", "error", "says"),
    [
        (["nosuch-xyzzy"], ResolveError, "no package 'nosuch-xyzzy'"),
        (["frame==9.9"], ResolveError, "no version of frame that fits 'frame==9.9'"),
        (["frame==2.15", "grid>=3"], ResolveError, r"contradict each other.*frame.*grid>=3"),
        (["frame==2.15", "frame==2.16"], ResolveError, "contradict"),
        (["frame=2.15"], UsageError, "not a requirement"),
        ([], UsageError, "Nothing was asked for"),
    ],
)
@pytest.mark.parametrize("runtime", ["python3.11", "auto"])
def test_bad_requirements_get_one_clear_message(ask, requirements, error, says, runtime):
    with pytest.raises(error, match=says):
        ask(*requirements, targets=targets_for(runtime, "x86_64"))


def test_a_version_that_is_not_there_names_those_next_to_it(ask):
    with pytest.raises(ResolveError) as caught:
        ask("fire==2.6.5", targets=[lambda_target("python3.12", "x86_64")])
    assert "the next older one is 2.6, the newest is 2.7" in caught.value.hint


def test_an_index_that_cannot_be_reached(ask, tmp_path):
    environ = {"UV_DEFAULT_INDEX": "http://me:secret@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "HOME": str(tmp_path)}
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:9/simple/frame/ cannot be read") as caught:
        ask("frame", settings=installer_settings(InstallerSection(), environ, folder=tmp_path))
    assert "secret" not in str(caught.value)


def test_an_index_that_wants_credentials_says_where_to_put_them(ask, tmp_path):
    with serve() as web:
        web.login = "Basic bWU6cmlnaHQ="
        for login, error in [("", FetchError), ("me:wrong@", FetchError), ("me:right@", ResolveError)]:
            url = web.url.replace("//", f"//{login}")
            environ = {"UV_DEFAULT_INDEX": f"{url}/simple", "UV_HTTP_RETRIES": "0", "HOME": str(tmp_path)}
            with pytest.raises(error) as caught:
                ask("frame", settings=installer_settings(InstallerSection(), environ, folder=tmp_path))
            assert not login or login not in str(caught.value)
            assert error is ResolveError or "credentials" in caught.value.hint


@pytest.mark.parametrize(
    "wrong", [{"UV_FIND_LINKS": "/nowhere"}, {"UV_HTTP_TIMEOUT": "abc"}, {"UV_INDEX_STRATEGY": "best"}, {"UV_CONFIG_FILE": "/nowhere"}]
)  # fmt: skip
def test_settings_that_uv_refuses(ask, tmp_path, wrong):
    environ = {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "HOME": str(tmp_path), **wrong}
    with pytest.raises(UsageError, match="uv cannot work with these settings"):
        ask("frame", settings=installer_settings(InstallerSection(), environ, folder=tmp_path))


def test_requirement_files_count_and_are_named_when_wrong(ask, tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("grid==1.0\n")
    resolution = ask("frame==2.15", requirement_files=(file,))
    assert resolution.requested == ("frame", "grid")
    file.write_text("grid==1.0\nnonsense here\n")
    with pytest.raises(UsageError, match=r"requirements\.txt, line 2"):
        ask("frame==2.15", requirement_files=(file,))


def test_torch_with_cuda_needs_a_consent(ask):
    resolution = ask("torch==2.6.0")
    assert [c.kind for c in resolution.consents] == ["cuda"]
    assert "1 GPU packages" in resolution.consents[0].message
    assert resolution.consents[0].flag == "--cuda"
    assert resolution.consents[0].size > 0


def test_torch_with_cuda_that_was_asked_for_needs_none(ask):
    resolution = ask("torch==2.6.0", torch_backend="cuda")
    assert resolution.consents == ()
    assert resolution.notes == ("torch 2.6.0 is a CUDA build, as asked for.",)


def test_torch_without_cuda_says_so(ask):
    resolution = ask("torch==2.5.0")
    assert resolution.consents == ()
    assert resolution.notes == ("torch 2.5.0 is the CPU build, as your indexes have it.",)


def test_a_cpu_build_in_find_links_is_preferred(ask, wheels, tmp_path):
    many(tmp_path, "torch", "2.6.0+cpu", ["cp311-cp311-manylinux_2_17_x86_64"])
    (tmp_path / "torch-nonsense.whl").write_text("not a wheel's name")
    environ = {"UV_FIND_LINKS": f"{wheels},{tmp_path}", "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "HOME": str(tmp_path)}
    settings = installer_settings(InstallerSection(), environ, folder=tmp_path)
    same = ask("torch==2.6.0", settings=settings)
    assert [package.version for package in same.lock.packages] == ["2.6.0+cpu"]
    assert same.consents == ()


def test_an_older_cpu_build_in_find_links_is_better_than_a_cuda_build(ask, wheels, tmp_path):
    many(tmp_path, "torch", "2.5.5+cpu", ["cp311-cp311-manylinux_2_17_x86_64"])
    many(tmp_path, "torch", "2.5.9+cpu", ["cp312-cp312-manylinux_2_17_x86_64"])
    environ = {"UV_FIND_LINKS": f"{wheels},{tmp_path}", "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "HOME": str(tmp_path)}
    older = ask("torch", settings=installer_settings(InstallerSection(), environ, folder=tmp_path))
    assert [package.version for package in older.lock.packages] == ["2.5.5+cpu"]
    assert older.notes == ("torch 2.5.5+cpu is the CPU build, the newest in your find-links.",)


def test_a_backend_that_is_set_for_uv_is_an_answer(wheels, tmp_path):
    environ = {"UV_FIND_LINKS": str(wheels), "UV_TORCH_BACKEND": "cu126"}
    assert installer_settings(InstallerSection(), environ, folder=tmp_path).torch_backend == "cu126"
    environ["UV_TORCH_BACKEND"] = "auto"
    assert installer_settings(InstallerSection(), environ, folder=tmp_path).torch_backend is None
