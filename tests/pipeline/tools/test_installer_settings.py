from pathlib import Path

import pytest

from efsprov.core.masking import mask
from efsprov.pipeline.tools.installer_settings import InstallerSection, installer_settings

HERE = Path("/project")
NOTHING = InstallerSection()


def environment(section=NOTHING, **environ):
    return dict(installer_settings(section, environ, folder=HERE).environment)


def test_pip_variables_become_uv_variables():
    assert environment(
        PIP_INDEX_URL="https://a.example/simple",
        PIP_EXTRA_INDEX_URL="https://b.example/simple https://c.example/simple",
        PIP_FIND_LINKS="/wheels https://d.example/links ../more",
        PIP_CERT="/etc/ca.pem",
        PIP_CLIENT_CERT="/etc/me.pem",
        PIP_PROXY="http://proxy.example:3128",
        PIP_TRUSTED_HOST="a.example b.example",
        PIP_DEFAULT_TIMEOUT="180",
        PIP_RETRIES="2",
        PIP_NO_INDEX="1",
        PIP_PRE="true",
        PIP_CONSTRAINT="c.txt",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    ) == {
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_INDEX": "https://b.example/simple https://c.example/simple",
        "UV_FIND_LINKS": "/wheels,https://d.example/links,/project/../more",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "SSL_CLIENT_CERT": "/etc/me.pem",
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "UV_INSECURE_HOST": "a.example b.example",
        "UV_HTTP_TIMEOUT": "180",
        "UV_HTTP_RETRIES": "2",
        "UV_NO_INDEX": "true",
        "UV_PRERELEASE": "allow",
        "UV_CONSTRAINT": "c.txt",
    }


@pytest.mark.parametrize(
    ("uv", "pip", "section", "name"),
    [
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", {"index": "https://c/"}, "UV_DEFAULT_INDEX"),
        ("UV_INDEX_URL", "PIP_INDEX_URL", {"index": "https://c/"}, "UV_DEFAULT_INDEX"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL", {"extra_indexes": ("https://c/",)}, "UV_INDEX"),
        ("UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", {"extra_indexes": ("https://c/",)}, "UV_INDEX"),
        ("UV_FIND_LINKS", "PIP_FIND_LINKS", {"find_links": ("https://c/",)}, "UV_FIND_LINKS"),
        ("SSL_CERT_FILE", "PIP_CERT", {"certificate": "https://c/"}, "SSL_CERT_FILE"),
        ("HTTPS_PROXY", "PIP_PROXY", {"proxy": "https://c/"}, "HTTPS_PROXY"),
    ],
)
def test_the_settings_file_wins_over_uv_over_pip(uv, pip, section, name):
    result = {uv: "https://u/", pip: "https://p/"}
    assert environment(**{pip: "https://p/"})[name] == "https://p/"
    if name != "HTTPS_PROXY":  # pip's own proxy setting beats the environment's in pip, too
        assert environment(**result)[name] == "https://u/"
    winner = environment(InstallerSection(**section), **result)
    assert winner[name] in {"https://c/", "https:/c"}  # a path loses a slash
    assert uv == name or uv not in winner


def test_only_what_an_installer_needs_gets_through():
    kept = environment(
        PYTHONPATH="/x", VIRTUAL_ENV="/v", UV_TARGET="/t", UV_PYTHON="3.9", UV_TORCH_BACKEND="cu126", UV_LINK_MODE="copy",
        HOME="/home/me", NO_PROXY="localhost", UV_INDEX_CORP_PASSWORD="secret", UV_CACHE_DIR="/cache",
    )  # fmt: skip
    assert kept == {
        "HOME": "/home/me",
        "NO_PROXY": "localhost",
        "UV_INDEX_CORP_PASSWORD": "secret",
        "UV_CACHE_DIR": "/cache",
    }


def test_an_index_of_the_settings_file_counts_though_the_environment_says_no_index():
    assert "UV_NO_INDEX" not in environment(InstallerSection(index="https://c/"), UV_NO_INDEX="1")
    assert environment(UV_NO_INDEX="1")["UV_NO_INDEX"] == "1"


def test_index_urls_lose_their_names():
    settings = installer_settings(NOTHING, {"UV_INDEX": "corp=https://a/?x=1 https://b/"}, folder=HERE)
    assert settings.index_urls == ("https://a/?x=1", "https://b/")


def test_relative_paths_of_the_section_are_those_of_its_file():
    section = InstallerSection(find_links=("wheels", "https://x/"), certificate=Path("ca.pem")).anchored(
        Path("/etc/me")
    )
    assert section.find_links == ("/etc/me/wheels", "https://x/")
    assert section.certificate == Path("/etc/me/ca.pem")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/simple", "https://***@host/simple"),
        ("failed: https://token@host/a and https://u:p@h/", "failed: https://***@host/a and https://***@h/"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://me:p@ss@host/", "https://***@host/"),
        ("pkg @ file:///x", "pkg @ file:///x"),
    ],
)
def test_credentials_are_masked(text, shown):
    assert mask(text) == shown


def test_settings_do_not_show_their_values():
    settings = installer_settings(NOTHING, {"PIP_INDEX_URL": "https://me:secret@host/"}, folder=HERE)
    assert "secret" not in repr(settings)
