"""Where packages come from and how they are reached: efsprov.toml over `UV_*` over `PIP_*`, as uv's environment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from efsprov.core.frozen import Exact
from efsprov.core.masking import SECRETS
from efsprov.core.requirement_file import FileOptions
from efsprov.core.urls import split_url

# What an installer needs of a user's environment besides its own settings. Nothing else gets through: PYTHONPATH,
# VIRTUAL_ENV or UV_TARGET would change what is resolved and where it goes.
_KEPT: Final = (
    *("HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "LC_ALL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NETRC"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "SSH_AUTH_SOCK"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"),
    *("UV_INDEX_STRATEGY", "UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_OFFLINE"),
    *("UV_HTTP_TIMEOUT", "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES", "UV_REQUEST_TIMEOUT", "UV_CACHE_DIR"),
    *("UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS", "UV_CREDENTIALS_DIR"),
    *("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_EXCLUDE_NEWER", "UV_PRERELEASE", "UV_RESOLUTION"),
    *("UV_CONFIG_FILE", "UV_NO_CONFIG", "EFSPROV_LOGINS"),
)
# Names and passwords of indexes that UV_INDEX names, and user-name settings that uv may add to them.
_KEPT_PREFIX: Final = "UV_INDEX_"
_TRUE: Final = {"1", "true", "yes", "on"}
# Servers with credentials that direct URLs of requirements name, blanks between: `https://user:password@host`. Ours, not uv's.
LOGINS: Final = "EFSPROV_LOGINS"


class InstallerSection(Exact):
    """`[installer]` of efsprov.toml. ``find_links`` are folders or URLs; relative paths are the settings file's."""

    index: str | None = None
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    proxy: str | None = None
    certificate: Path | None = None

    def anchored(self, folder: Path) -> "InstallerSection":
        """Return the section with its relative paths made absolute from ``folder``."""
        links = tuple(_anchor(link, folder) for link in self.find_links)
        certificate = folder / self.certificate.expanduser() if self.certificate else None
        return self.model_copy(update={"find_links": links, "certificate": certificate})


@dataclass(frozen=True)
class InstallerSettings:
    """``environment`` is all that uv runs with. The other fields say the same to those who do not ask uv.

    ``torch_backend`` is what the user has set for uv, "auto" left out: that would ask this machine for its GPU.
    ``require_hashes``: every requirement must be pinned to a hash.
    """

    environment: Mapping[str, str]
    find_links: tuple[str, ...] = ()
    certificate: Path | None = None
    insecure_hosts: tuple[str, ...] = ()
    torch_backend: str | None = None
    require_hashes: bool = False

    def __repr__(self) -> str:
        return f"InstallerSettings({', '.join(sorted(self.environment))})"  # values may hold passwords

    def without_sources(self) -> "InstallerSettings":
        """Return what an installer needs that is given files: nothing that says where to look, or what to choose."""
        return InstallerSettings(
            {name: value for name, value in self.environment.items() if not name.startswith("UV_")}
        )

    @property
    def index_urls(self) -> tuple[str, ...]:
        """The URLs of the indexes that are named, credentials included; empty when it is the installer's default."""
        result = " ".join(self.environment.get(name, "") for name in ("UV_DEFAULT_INDEX", "UV_INDEX"))
        return tuple(_without_name(word) for word in result.split())

    @property
    def logins(self) -> tuple[str, ...]:
        """The servers, with credentials, that direct URLs of requirements name."""
        return tuple(self.environment.get(LOGINS, "").split())

    @property
    def constraint_files(self) -> tuple[Path, ...]:
        """The constraint files that `UV_CONSTRAINT` or `PIP_CONSTRAINT` name."""
        return tuple(Path(name) for name in self.environment.get("UV_CONSTRAINT", "").split())

    def with_requirements(self, options: FileOptions, logins: tuple[str, ...]) -> "InstallerSettings":
        """Return the settings with what requirement files say about sources, as pip has it.

        Their index replaces the set one, `--no-index` all of them; what is extra is added. ``logins``: see the property.
        The constraint files are gone: they have been read.
        """
        env = dict(self.environment)
        env.pop("UV_CONSTRAINT", None)
        if options.no_index:
            env["UV_NO_INDEX"] = "true"
        if options.index_url:
            env["UV_DEFAULT_INDEX"] = options.index_url
        links = (*self.find_links, *options.find_links)
        hosts = (*self.insecure_hosts, *options.trusted_hosts)
        added = {
            "UV_INDEX": " ".join(filter(None, (env.get("UV_INDEX", ""), *options.extra_index_urls))),
            "UV_FIND_LINKS": ",".join(links),
            "UV_INSECURE_HOST": " ".join(hosts),
            LOGINS: " ".join((*self.logins, *logins)),
        }
        env |= {name: value for name, value in added.items() if value}
        return replace(self, environment=MappingProxyType(env), find_links=links, insecure_hosts=hosts)


def installer_settings(section: InstallerSection, environ: Mapping[str, str], *, folder: Path) -> InstallerSettings:
    """Merge ``section`` over the `UV_*` over the `PIP_*` variables of ``environ``.

    Relative paths in `PIP_*` and `UV_FIND_LINKS` are those of ``folder``, the working directory. A setting of a
    higher place replaces the lower one whole: lists are not joined.
    """
    SECRETS.learn(
        [*environ.values(), *filter(None, (section.index, section.proxy)), *section.extra_indexes, *section.find_links]
    )
    for name, value in environ.items():
        if name.startswith(_KEPT_PREFIX) and name.endswith("_PASSWORD"):
            SECRETS.add(value)
    env = {name: value for name, value in environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIX)}
    pip = {name[4:]: value.strip() for name, value in environ.items() if name.startswith("PIP_") and value.strip()}

    index = section.index or env.pop("UV_DEFAULT_INDEX", "") or env.get("UV_INDEX_URL", "") or pip.get("INDEX_URL", "")
    env.pop("UV_INDEX_URL", None)
    extra = (
        " ".join(section.extra_indexes)
        or " ".join(filter(None, (env.pop("UV_INDEX", ""), env.get("UV_EXTRA_INDEX_URL", ""))))
        or pip.get("EXTRA_INDEX_URL", "")
    )
    env.pop("UV_EXTRA_INDEX_URL", None)
    find_links = (
        section.find_links
        or tuple(filter(None, env.pop("UV_FIND_LINKS", "").split(",")))
        or tuple(pip.get("FIND_LINKS", "").split())
    )
    find_links = tuple(_anchor(link.strip(), folder) for link in find_links)
    derived = {
        "UV_DEFAULT_INDEX": index,
        "UV_INDEX": extra,
        "UV_FIND_LINKS": ",".join(find_links),
        "UV_NO_INDEX": env.get("UV_NO_INDEX") or ("true" if pip.get("NO_INDEX", "").lower() in _TRUE else ""),
        "UV_INSECURE_HOST": env.get("UV_INSECURE_HOST") or pip.get("TRUSTED_HOST", ""),
        "UV_HTTP_TIMEOUT": env.get("UV_HTTP_TIMEOUT")
        or env.get("UV_REQUEST_TIMEOUT")
        or pip.get("DEFAULT_TIMEOUT", ""),
        "UV_HTTP_RETRIES": env.get("UV_HTTP_RETRIES") or pip.get("RETRIES", ""),
        "UV_CONSTRAINT": env.get("UV_CONSTRAINT") or pip.get("CONSTRAINT", ""),
        "UV_PRERELEASE": env.get("UV_PRERELEASE") or ("allow" if pip.get("PRE", "").lower() in _TRUE else ""),
        "SSL_CLIENT_CERT": env.get("SSL_CLIENT_CERT") or pip.get("CLIENT_CERT", ""),
        "SSL_CERT_FILE": str(section.certificate or "") or env.get("SSL_CERT_FILE") or pip.get("CERT", ""),
    }
    if proxy := section.proxy or pip.get("PROXY"):
        for name in ("ALL_PROXY", "all_proxy", "http_proxy", "https_proxy"):
            env.pop(name, None)
        derived |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
    if section.index or section.extra_indexes:
        derived["UV_NO_INDEX"] = ""
    for name, value in derived.items():
        env.pop(name, None)
        if value:
            env[name] = value
    certificate = env.get("SSL_CERT_FILE")
    hosts = env.get("UV_INSECURE_HOST", "").split()
    backend = environ.get("UV_TORCH_BACKEND", "auto")
    return InstallerSettings(
        environment=MappingProxyType(env),
        find_links=find_links,
        certificate=Path(certificate) if certificate else None,
        insecure_hosts=tuple(hosts),
        torch_backend=None if backend == "auto" else backend,
        require_hashes=bool(
            {environ.get("UV_REQUIRE_HASHES", "").lower(), pip.get("REQUIRE_HASHES", "").lower()} & _TRUE
        ),
    )


def _anchor(link: str, folder: Path) -> str:
    """Make a folder's path absolute; leave a URL as it is."""
    return link if split_url(link).scheme in {"http", "https", "file"} else str(folder / Path(link).expanduser())


def _without_name(index: str) -> str:
    """Take the `name=` off an index that is given as `name=URL`."""
    name, equals, url = index.partition("=")
    return url if equals and "/" not in name and ":" not in name else index
