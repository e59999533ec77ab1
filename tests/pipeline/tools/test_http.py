import base64
import time
from pathlib import Path

import pytest
from urllib3.response import HTTPResponse

from efsprov.core.errors import FetchError, UsageError
from efsprov.pipeline.tools.http import LONGEST_WAIT, CappedRetry, Downloads
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings
from tests.pipeline.web import serve


@pytest.fixture
def web():
    with serve() as web:
        yield web


def downloads(section=None, **environ):
    return Downloads(
        installer_settings(section or InstallerSection(), {"UV_HTTP_RETRIES": "0", **environ}, folder=Path("/"))
    )


def read(connections, url, offset=0):
    with connections.open(url, offset) as (response, start):
        return b"".join(response.stream(1 << 16)), start


def basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()


def test_size_and_content(web):
    web.files["/a.whl"] = b"x" * 100_000
    with downloads() as connections:
        assert connections.size(f"{web.url}/a.whl") == 100_000
        assert connections.size(f"{web.url}/missing.whl") is None
        assert read(connections, f"{web.url}/a.whl") == (b"x" * 100_000, 0)


def test_from_an_offset(web):
    web.files["/a.whl"] = bytes(range(256))
    with downloads() as connections:
        assert read(connections, f"{web.url}/a.whl", 200) == (bytes(range(200, 256)), 200)
        assert read(connections, f"{web.url}/a.whl", 999) == (bytes(range(256)), 0)
        web.ranges = False
        assert read(connections, f"{web.url}/a.whl", 200) == (bytes(range(256)), 0)


def test_what_is_not_there_is_an_error_that_names_it(web):
    with downloads() as connections, pytest.raises(FetchError, match=r"missing\.whl: the server answered 404"):
        read(connections, f"{web.url}/missing.whl")


def test_a_server_that_is_not_there_is_an_error_without_credentials():
    with (
        downloads() as connections,
        pytest.raises(FetchError, match=r"//\*\*\*@127\.0\.0\.1:9/a cannot be reached") as caught,
    ):
        read(connections, "http://me:secret@127.0.0.1:9/a")
    assert "secret" not in str(caught.value)


def test_a_busy_server_is_asked_again(web):
    web.files["/a"] = b"content"
    web.statuses = [503, 429]
    with downloads(UV_HTTP_RETRIES="3") as connections:
        assert read(connections, f"{web.url}/a") == (b"content", 0)
    assert len(web.requests) == 3


def test_a_connection_that_breaks_off_is_an_error(web):
    web.files["/a"] = b"x" * 1000
    web.breaks_after = [10]
    with downloads() as connections, pytest.raises(FetchError, match="broke off"):
        read(connections, f"{web.url}/a")


@pytest.mark.parametrize(
    "environ",
    [
        lambda url, _: {"UV_DEFAULT_INDEX": url.replace("//", "//me:p%40ss@") + "/simple"},
        lambda url, _: {"PIP_EXTRA_INDEX_URL": url.replace("//", "//me:p%40ss@") + "/simple"},
        lambda url, _: {"PIP_FIND_LINKS": url.replace("//", "//me:p%40ss@") + "/links"},
        lambda url, _: {"UV_INDEX": f"my-own={url}/simple", "UV_INDEX_MY_OWN_USERNAME": "me", "UV_INDEX_MY_OWN_PASSWORD": "p@ss"},
        lambda _, home: {"HOME": str(home)},
        lambda _, home: {"NETRC": str(home / ".netrc")},
    ],
    ids=["index", "extra index", "find-links", "named index", "netrc at home", "netrc"],
)  # fmt: skip
def test_credentials_of_the_settings_are_used_for_their_host(web, tmp_path, environ):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password p@ss\n")
    web.files["/a"] = b"content"
    web.login = basic("me:p@ss")
    with downloads(**environ(web.url, tmp_path)) as connections:
        assert read(connections, f"{web.url}/a") == (b"content", 0)


def test_credentials_stay_with_their_host(web):
    with serve() as other:
        web.files["/a"] = other.url.encode() + b"/b"
        other.files["/b"] = b"content"
        web.login = basic("me:secret")
        web.statuses = [302]
        with downloads(UV_DEFAULT_INDEX=web.url.replace("//", "//me:secret@")) as connections:
            assert read(connections, f"{web.url}/a") == (b"content", 0)
        assert web.requests[0][2]["authorization"] == web.login
        assert "authorization" not in other.requests[0][2]


def test_a_proxy_is_used_and_its_exceptions_are_kept(web):
    web.files["http://host.invalid/a"] = b"by proxy"
    web.files["/a"] = b"direct"
    with downloads(InstallerSection(proxy=web.url), NO_PROXY="127.0.0.1") as connections:
        assert read(connections, "http://host.invalid/a") == (b"by proxy", 0)
        assert read(connections, f"{web.url}/a") == (b"direct", 0)


def test_a_proxys_credentials_are_given_to_the_proxy(web):
    web.files["http://host.invalid/a"] = b"by proxy"
    with downloads(http_proxy=web.url.replace("//", "//me:p%40ss@")) as connections:
        assert read(connections, "http://host.invalid/a") == (b"by proxy", 0)
    assert web.requests[0][2]["proxy-authorization"] == basic("me:p@ss")


def test_what_is_no_http_proxy_is_refused():
    with downloads(ALL_PROXY="socks5://me:secret@127.0.0.1:9") as connections, pytest.raises(FetchError) as caught:
        read(connections, "http://host.invalid/a")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"UV_HTTP_TIMEOUT": "soon"}, {"PIP_RETRIES": "often"}, {"SSL_CERT_FILE": "/nowhere.pem"}, {"SSL_CLIENT_CERT": "/etc/hostname"}]
)  # fmt: skip
def test_settings_that_are_none(wrong):
    settings = installer_settings(InstallerSection(), wrong, folder=Path("/"))
    with pytest.raises(UsageError):
        Downloads(settings)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("3600", LONGEST_WAIT),
        ("Fri, 31 Dec 2100 23:59:59 GMT", LONGEST_WAIT),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (None, None),
    ],
)
def test_a_server_is_waited_for_as_it_asks_up_to_a_minute(header, seconds):
    response = HTTPResponse(headers={"Retry-After": header} if header else {}, status=503)
    assert CappedRetry().get_retry_after(response) == seconds


def test_a_server_that_asks_for_a_second_is_asked_again_after_it(web):
    web.files["/a.whl"] = b"content"
    web.statuses, web.retry_after = [503], "1"
    began = time.monotonic()
    with downloads(UV_HTTP_RETRIES="2") as connections:
        assert read(connections, f"{web.url}/a.whl") == (b"content", 0)
    assert time.monotonic() - began >= 1
    assert web.requested() == ["/a.whl", "/a.whl"]
