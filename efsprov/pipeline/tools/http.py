"""Downloads over HTTP with what people have set for their installers: proxy, certificates, credentials."""

import netrc
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Self
from urllib.parse import unquote
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from urllib3 import PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import make_headers

from efsprov.core.errors import FetchError, UsageError
from efsprov.core.masking import SECRETS, mask
from efsprov.core.urls import split_url
from efsprov.pipeline.tools.installer_settings import InstallerSettings

_RETRIED: Final = (429, 500, 502, 503, 504)
_SECONDS: Final = 30.0  # without a byte
_CONNECT_SECONDS: Final = 10.0
LONGEST_WAIT: Final = 60.0
"""Seconds that a server's Retry-After is followed for at most (RFC 9110, 10.2.3): a plan that hangs for an hour helps nobody."""
_HINT: Final = (
    "Is the network up? Proxy and certificates are set by [installer] in efsprov.toml, UV_* or PIP_* variables."
)


class CappedRetry(Retry):
    """Tries again when the server says so, up to ``LONGEST_WAIT`` seconds later."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return how many seconds to wait before the next try, None where the server does not say."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_WAIT)


class Downloads:
    """Connections that are kept open and used again; safe to be used by several threads."""

    def __init__(self, settings: InstallerSettings, *, connections: int = 16) -> None:
        env = settings.environment
        self._env = env
        self._insecure = frozenset(settings.insecure_hosts)
        self._credentials = _credentials(settings)
        self._proxies = _proxies(env)
        self._pools: dict[tuple[str | None, bool], PoolManager] = {}
        self._connections = connections
        times = int(_number(env, "UV_HTTP_RETRIES", 3))
        self._retries = CappedRetry(
            total=None,
            connect=times,
            read=times,
            status=times,
            other=0,
            redirect=10,
            backoff_factor=0.3,
            status_forcelist=_RETRIED,
            raise_on_status=False,
            allowed_methods=("GET", "HEAD"),
        )
        self._timeout = Timeout(connect=_CONNECT_SECONDS, read=_number(env, "UV_HTTP_TIMEOUT", _SECONDS))
        self._verified, self._unverified = _contexts(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    def size(self, url: str) -> int | None:
        """Return the length of what is at ``url`` in bytes, None where the server does not tell."""
        response = self._request("HEAD", url, {})
        response.drain_conn()
        response.release_conn()
        length = response.headers.get("Content-Length", "")
        return int(length) if response.status == 200 and length.isdigit() else None

    @contextmanager
    def open(self, url: str, offset: int = 0) -> Iterator[tuple[BaseHTTPResponse, int]]:
        """Give a response whose body is read with ``stream``, and the offset at which the body really starts.

        Raises ``FetchError`` where the server cannot be reached or has no such file, then and while reading.
        """
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        response = self._request("GET", url, headers)
        if offset and response.status == 416:  # the file is not as long as what was kept of it
            response.close()
            offset, response = 0, self._request("GET", url, {"Accept-Encoding": "identity"})
        try:
            if response.status not in {200, 206}:
                raise FetchError(
                    f"{mask(url)}: the server answered {response.status} {response.reason or ''}.", hint=_HINT
                )
            yield response, offset if response.status == 206 else 0
        except HTTPError as error:
            raise FetchError(f"{mask(url)}: the download broke off: {mask(str(error))}.", hint=_HINT) from error
        finally:
            response.close()

    def _request(self, method: str, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        parts = split_url(url)
        host = parts.hostname or ""
        if login := self._credentials.get(parts.netloc) or _netrc_login(self._env, host):
            headers = {**headers, **make_headers(basic_auth=login)}
        try:
            return self._pool(parts.scheme, host, parts.netloc).request(
                method, url, headers=headers, preload_content=False, retries=self._retries, timeout=self._timeout
            )
        except HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise FetchError(f"{mask(url)} cannot be reached: {mask(str(cause))}.", hint=_HINT) from error

    def _pool(self, scheme: str, host: str, netloc: str) -> PoolManager:
        proxy = self._proxies.get(scheme)
        if proxy and proxy_bypass_environment(netloc, self._proxies):
            proxy = None
        insecure = bool({host, netloc} & self._insecure)
        key = (proxy, insecure)
        if key not in self._pools:
            context = self._unverified if insecure else self._verified
            if proxy is None:
                self._pools[key] = PoolManager(maxsize=self._connections, ssl_context=context)
            else:
                self._pools[key] = _proxy_pool(proxy, self._connections, context)
        return self._pools[key]


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(env.get(name) or default)
    except ValueError as error:
        raise UsageError(
            f"{name} is not a number: {env[name]!r}.", hint="It may come from PIP_DEFAULT_TIMEOUT or PIP_RETRIES."
        ) from error


def _contexts(settings: InstallerSettings) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return how servers are verified, and how those of `UV_INSECURE_HOST` are not."""
    client = settings.environment.get("SSL_CLIENT_CERT")
    try:
        verified = ssl.create_default_context(cafile=str(settings.certificate) if settings.certificate else None)
        if client:
            verified.load_cert_chain(client)
    except OSError as error:
        raise UsageError(
            f"{' or '.join(str(file) for file in (settings.certificate, client) if file)} is not a certificate: {error}.",
            hint="It is set by `certificate` under [installer] in efsprov.toml, SSL_CERT_FILE, SSL_CLIENT_CERT, PIP_CERT.",
        ) from error
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return verified, unverified


def _proxy_pool(proxy: str, connections: int, context: ssl.SSLContext) -> PoolManager:
    parts = split_url(proxy)
    if parts.scheme not in {"http", "https"}:
        raise FetchError(f"{mask(proxy)} is not an HTTP proxy.", hint="Name one: http://HOST:PORT.")
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    address = f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"
    headers = make_headers(proxy_basic_auth=login) if login else None
    return ProxyManager(address, maxsize=connections, ssl_context=context, proxy_headers=headers)


def _proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy of each scheme, and under "no" the hosts that are reached without; lower case wins."""
    lower = {name.lower(): value for name, value in sorted(env.items()) if name.lower().endswith("_proxy") and value}
    every = lower.get("all_proxy")
    found = {scheme: lower.get(f"{scheme}_proxy", every) for scheme in ("http", "https")}
    proxies = {scheme: p if "://" in p else f"http://{p}" for scheme, p in found.items() if p}
    return {**proxies, "no": lower.get("no_proxy", "")}


def _credentials(settings: InstallerSettings) -> dict[str, str]:
    """Return `user:password` by `host:port`, as the URLs of indexes and find-links have them, and `UV_INDEX_NAME_*`."""
    found = {}
    for url in (*settings.index_urls, *settings.find_links, *settings.logins):
        user, at, host = split_url(url).netloc.rpartition("@")
        if at:
            login, _, secret = user.partition(":")
            found[host] = f"{unquote(login)}:{unquote(secret)}"
    env = settings.environment
    for named in env.get("UV_INDEX", "").split() + env.get("UV_DEFAULT_INDEX", "").split():
        name, equals, url = named.partition("=")
        key = f"UV_INDEX_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
        if equals and (password := env.get(f"{key}_PASSWORD")):
            found[split_url(url).netloc.rpartition("@")[2]] = f"{env.get(f'{key}_USERNAME', '')}:{password}"
    return found


def _netrc_login(env: Mapping[str, str], host: str) -> str | None:
    file = env.get("NETRC") or f"{env.get('HOME', '')}/.netrc"
    try:
        entry = netrc.netrc(file).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    if entry is None:
        return None
    SECRETS.add(entry[2] or "")
    return f"{entry[0]}:{entry[2]}"
