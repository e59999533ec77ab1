"""Which libraries Lambda's runtimes bring, and which of those that a release needs are brought by nobody.

AWS publishes no such list. What is known, and from where:

- Amazon Linux 2: the listing of a function's own file system, made in Lambda (`base/base-2/fs.txt` and `packages.txt` of
  https://github.com/lambci/docker-lambda, last changed 2020-11-22). x86_64; arm64 has the same packages.
- Amazon Linux 2023: the packages of AWS's image lambda/python:3.12, `rpm -qa` of 2023-12-16
  (https://github.com/amazonlinux/amazon-linux-2023/issues/585) and of lambda/nodejs:20
  (https://github.com/aws/aws-lambda-base-images/issues/173), each package by the libraries that it holds in Amazon
  Linux 2023. The two listings were read in part: packages from libstdc++ on are here because those that were read
  (libdnf, librepo, rpm, gawk, krb5-libs, libarchive, ca-certificates, curl-minimal) cannot be installed without them.
  libcrypt and expat are left out: installing another package brought them (aws-lambda-base-images issue 137).

A library that is not here *may* be missing: it is reported, and nothing is refused for it. The files of the interpreter
(/var/lang/lib) are in neither list, but for libpython itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from efsprov.core.target import Target
from efsprov.core.wording import join

AS_OF: Final[Mapping[str, str]] = {"Amazon Linux 2": "2020-11", "Amazon Linux 2023": "2023-12"}
"""When the list of a system was made."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of the C library and the compiler, on both.
_BOTH: Final = _names(
    "ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libBrokenLocale.so.1 libanl.so.1 libc.so.6 libdl.so.2 libgcc_s.so.1"
    " libm.so.6 libmvec.so.1 libnss_compat.so.2 libnss_dns.so.2 libnss_files.so.2 libpthread.so.0 libresolv.so.2"
    " librt.so.1 libstdc++.so.6 libthread_db.so.1 libutil.so.1 libacl.so.1 libattr.so.1 libcap.so.2 libcom_err.so.2"
    " libform.so.6 libformw.so.6 libgmp.so.10 libgssapi_krb5.so.2 libgssrpc.so.4 libk5crypto.so.3 libkeyutils.so.1"
    " libkrad.so.0 libkrb5.so.3 libkrb5support.so.0 libmenu.so.6 libmenuw.so.6 libncurses.so.6 libncursesw.so.6"
    " libp11-kit.so.0 libpanel.so.6 libpanelw.so.6 libpopt.so.0 libselinux.so.1 libtasn1.so.6 libtic.so.6 libtinfo.so.6"
    " libverto.so.1 libz.so.1"
)
_SYSTEMS: Final[Mapping[str, frozenset[str]]] = {
    "Amazon Linux 2": _BOTH
    | _names(
        "libcidn.so.1 libcrypto.so.10 libffi.so.6 libfreebl3.so libfreeblpriv3.so libgmpxx.so.4 libkdb5.so.8 libnsl.so.1"
        " libnspr4.so libnssckbi.so libnssutil3.so libpcre.so.1 libpcre16.so.0 libpcre32.so.0 libpcrecpp.so.0"
        " libpcreposix.so.0 libplc4.so libplds4.so libsepol.so.1 libssl.so.10"
    ),
    "Amazon Linux 2023": _BOTH
    | _names(
        "libarchive.so.13 libassuan.so.0 libaudit.so.1 libauparse.so.0 libblkid.so.1 libbz2.so.1 libcap-ng.so.0"
        " libcrypto.so.3 libcurl.so.4 libdnf.so.2 libffi.so.8 libgcrypt.so.20 libgio-2.0.so.0 libgirepository-1.0.so.1"
        " libglib-2.0.so.0 libgmodule-2.0.so.0 libgobject-2.0.so.0 libgpg-error.so.0 libgpgme.so.11 libgthread-2.0.so.0"
        " libhistory.so.8 libidn2.so.0 libjson-c.so.5 libkdb5.so.10 liblua-5.4.so liblz4.so.1 liblzma.so.5 libmagic.so.1"
        " libmodulemd.so.2 libmount.so.1 libmpfr.so.6 libnghttp2.so.14 libnpth.so.0 libpcre2-8.so.0 libpeas-1.0.so.0"
        " libpsl.so.5 libreadline.so.8 librepo.so.0 librpm.so.9 librpmio.so.9 libsepol.so.2 libsigsegv.so.2"
        " libsmartcols.so.1 libsolv.so.1 libsolvext.so.1 libsqlite3.so.0 libssl.so.3 libunistring.so.2 libuuid.so.1"
        " libxml2.so.2 libyaml-0.so.2 libzstd.so.1"
    ),
}
# The package of Amazon Linux that brings a library which is often missing: for a layer.
_PACKAGES: Final[Mapping[str, str]] = {
    "libEGL.so.1": "libglvnd-egl",
    "libGL.so.1": "libglvnd-glx",
    "libGLX.so.0": "libglvnd-glx",
    "libICE.so.6": "libICE",
    "libSM.so.6": "libSM",
    "libX11.so.6": "libX11",
    "libXext.so.6": "libXext",
    "libXrender.so.1": "libXrender",
    "libatomic.so.1": "libatomic",
    "libexpat.so.1": "expat",
    "libfontconfig.so.1": "fontconfig",
    "libfreetype.so.6": "freetype",
    "libgio-2.0.so.0": "glib2",
    "libglib-2.0.so.0": "glib2",
    "libgobject-2.0.so.0": "glib2",
    "libgomp.so.1": "libgomp",
    "libgthread-2.0.so.0": "glib2",
    "libnsl.so.1": "libnsl",
    "libnuma.so.1": "numactl-libs",
    "libsndfile.so.1": "libsndfile",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt",
}
_DISPLAY: Final = _names("libEGL.so.1 libGL.so.1 libGLX.so.0 libSM.so.6 libX11.so.6 libXext.so.6 libXrender.so.1")
_AT_MOST: Final = 3


@dataclass(frozen=True)
class LibraryNeeds:
    """What the libraries of one wheel bring and need: ``brings`` are names that a loader looks for (sonames and files'
    names), ``needs`` maps the path of a library to the sonames that it needs.
    """

    wheel: str
    brings: frozenset[str] = frozenset()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def runtime_libraries(target: Target) -> frozenset[str] | None:
    """Return the sonames that a target's system brings; None where nobody knows: a host's own."""
    runtime = target.lambda_runtime
    if runtime is None:
        return None
    return _SYSTEMS[runtime.system] | {f"libpython{target.python}.so.1.0", "libpython3.so"}


def missing_libraries(wheels: Iterable[LibraryNeeds], target: Target) -> tuple[str, ...]:
    """Say, one remark a library, what these wheels need and neither they nor the target's runtime bring.

    ``wheels`` must be all of a release: one may bring what another needs. Libraries are matched by name, wherever in
    the release they lie: packages load what they need from folders that no loader knows.
    """
    known, wheels = runtime_libraries(target), list(wheels)
    if known is None:
        return ()
    there = known.union(*(wheel.brings for wheel in wheels))
    lacking: dict[str, list[tuple[str, str]]] = {}
    for wheel in wheels:
        for path, sonames in wheel.needs.items():
            for soname in sonames:
                if soname not in there:
                    lacking.setdefault(soname, []).append((path, wheel.wheel))
    return tuple(_remark(soname, sorted(users), target) for soname, users in sorted(lacking.items()))


def _remark(soname: str, users: list[tuple[str, str]], target: Target) -> str:
    path, wheel = users[0]
    others = len({user for user, _ in users}) - 1
    runtime = target.lambda_runtime
    system = runtime.system if runtime else ""
    return (
        f"{path} of {wheel}{f' and {others} more' if others else ''} needs the system library {soname}, which no wheel of the "
        f"release brings and the {target.runtime} runtime may lack (it is not in efsprov's list of {system}, "
        f'{AS_OF.get(system, "")}): a function that loads it then fails with "{soname}: cannot open shared object file", whatever '
        f"this builder has. {_way_out(soname, wheel, system)}"
    )


def _way_out(soname: str, wheel: str, system: str) -> str:
    if "libc.musl-" in soname or soname.startswith("ld-musl-"):
        return "It is musl's C library, which no Lambda runtime has: take a manylinux wheel."
    if soname.startswith(("libcuda.so", "libnvidia-", "libnvcuvid.so")):
        return "A GPU's driver brings it, and Lambda has no GPUs: take a CPU build."
    ways = []
    if wheel.lower().startswith(("opencv_python-", "opencv_contrib_python-")) and soname in _DISPLAY:
        ways.append(f"take {wheel.split('-', maxsplit=1)[0].replace('_', '-')}-headless instead")
    package = f" (on {system}: the package {_PACKAGES[soname]})" if soname in _PACKAGES else ""
    ways.append(f"add a layer that has it in lib/{package}")
    ways.append("take a wheel that brings it along")
    return f"Ways out: {join(ways, 'or')}."


def shown(remarks: tuple[str, ...], *, most: int = _AT_MOST * 4) -> tuple[str, ...]:
    """Return at most ``most`` remarks, the last of which tells how many there are besides."""
    if len(remarks) <= most:
        return remarks
    return (*remarks[:most], f"{len(remarks) - most} more system libraries may be missing in the runtime.")
