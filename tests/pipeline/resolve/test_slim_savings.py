import hashlib
import os
from pathlib import Path

import pytest

from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.core.slim import Saving
from efsprov.pipeline.resolve.slim_savings import installed_sizes, plan_savings
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from efsprov.pipeline.tools.wheel_cache import WheelCache
from tests.pipeline.web import serve
from tests.wheelhouse import build_wheel

FILES = {
    "pkg/__init__.py": "x = 1\n",
    "pkg/__init__.pyi": "x: int\n",
    "pkg/include/pkg.h": "int x;\n" * 100,
    "pkg/lib/libpkg.a": "!<arch>\n",
    "pkg/tests/test_pkg.py": "def test(): pass\n",
    "pkg-1.0.data/platlib/pkg/more.h": "int y;\n",
    "pkg-1.0.data/scripts/run.h": "not in the site",
}
EXPECTED = {
    "headers": Saving(2, 707),
    "static": Saving(1, 8),
    "tests": Saving(1, 17),
    "stubs": Saving(1, 7),
}


@pytest.fixture
def web():
    with serve() as web:
        yield web


@pytest.fixture
def settings():
    return installer_settings(InstallerSection(), {"UV_HTTP_RETRIES": "0"}, folder=Path("/"))


@pytest.fixture
def cache(tmp_path):
    return WheelCache(tmp_path / "cache")


def lock_of(*files):
    return Lock(tuple(LockedPackage(f"pkg{n}", "1.0", (file,)) for n, file in enumerate(files)))


def locked(wheel, url, *, size=True):
    content = wheel.read_bytes()
    return LockedFile(wheel.name, url, hashlib.sha256(content).hexdigest(), len(content) if size else None)


def test_where_members_go(tmp_path):
    sizes = installed_sizes(build_wheel(tmp_path, "pkg", "1.0", FILES))
    assert sizes["pkg/more.h"] == 7
    assert not any(".data" in path or "run.h" in path for path in sizes)


@pytest.mark.parametrize("size", [True, False], ids=["size in the lock", "size asked for"])
def test_a_wheel_on_a_server(tmp_path, web, settings, cache, size):
    wheel = build_wheel(tmp_path, "pkg", "1.0", FILES)
    web.files["/pkg.whl"] = wheel.read_bytes()
    planned = plan_savings(lock_of(locked(wheel, f"{web.url}/pkg.whl", size=size)), settings, cache)
    assert (planned.by_rule, planned.unknown) == (EXPECTED, ())


def test_a_wheel_with_a_long_table_of_contents_is_not_downloaded(tmp_path, web, settings, cache):
    files = FILES | {f"pkg/data/{n:05}": "" for n in range(3000)}
    wheel = build_wheel(tmp_path, "pkg", "1.0", files | {"pkg/large": os.urandom(2_000_000)})
    web.files["/pkg.whl"] = wheel.read_bytes()
    planned = plan_savings(lock_of(locked(wheel, f"{web.url}/pkg.whl")), settings, cache)
    assert planned.by_rule == EXPECTED
    offsets = [
        int(headers["range"].removeprefix("bytes=")[:-1]) for method, _, headers in web.requests if method == "GET"
    ]
    assert min(offsets) > 2_000_000


def test_a_wheel_that_is_here(tmp_path, settings, cache):
    wheel = build_wheel(tmp_path, "pkg", "1.0", FILES)
    cached = locked(wheel, "http://127.0.0.1:9/pkg.whl")
    cache.path(cached).parent.mkdir(parents=True)
    cache.path(cached).write_bytes(wheel.read_bytes())
    assert plan_savings(lock_of(cached), settings, cache).by_rule == EXPECTED
    local = build_wheel(tmp_path, "other", "1.0", FILES)
    assert plan_savings(lock_of(locked(local, local.as_uri())), settings, cache).by_rule == EXPECTED


def test_what_is_not_reported_is_named_and_the_rest_counted(tmp_path, web, settings, cache):
    wheel = build_wheel(tmp_path, "pkg", "1.0", FILES)
    web.files["/pkg.whl"] = wheel.read_bytes()
    web.files["/cut.whl"] = wheel.read_bytes()[:-30]
    good = locked(wheel, f"{web.url}/pkg.whl")
    gone = LockedFile("a.whl", f"{web.url}/gone.whl", "0" * 64)
    cut = LockedFile("b.whl", f"{web.url}/cut.whl", "1" * 64)
    source = LockedFile("c.tar.gz", f"{web.url}/pkg.whl", "2" * 64)
    planned = plan_savings(lock_of(good, gone, cut, source), settings, cache)
    assert (planned.by_rule, planned.unknown) == (EXPECTED, ("pkg1", "pkg2", "pkg3"))


def test_a_server_that_sends_no_parts_is_not_asked_for_the_whole(tmp_path, web, settings, cache):
    wheel = build_wheel(tmp_path, "pkg", "1.0", FILES | {"pkg/large": os.urandom(100_000)})
    web.files["/pkg.whl"] = wheel.read_bytes()
    web.ranges = False
    planned = plan_savings(lock_of(locked(wheel, f"{web.url}/pkg.whl")), settings, cache)
    assert planned.unknown == ("pkg0",)
