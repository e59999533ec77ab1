"""PyTorch comes without CUDA unless asked for: which build a lock has, and how to get the CPU build."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from efsprov.core.errors import GateError
from efsprov.core.lock import Lock, LockedPackage
from efsprov.core.target import Target
from efsprov.core.urls import split_url
from efsprov.core.wheels import rank
from efsprov.pipeline.resolve.resolver import Compile, Compiled, run_compile
from efsprov.pipeline.resolve.uv_failure import Failure

# uv's --torch-backend chooses the index of these.
TORCH_FAMILY: Final = {"torch", "torchvision", "torchaudio", "torchtext", "torchdata", "torchao", "triton", "torchtune"}
# Those of them that hold libraries linked against one build of torch.
COMPILED_COMPANIONS: Final = {"torchvision", "torchaudio", "torchtext", "torchao"}
_ACCELERATOR = re.compile(r"nvidia-.*|cuda-.*|triton|pytorch-triton.*|intel-cmplr-lib-.*")
_ACCELERATED_LOCAL = re.compile(r"(cu\d|rocm|xpu)")


def torch_of(lock: Lock) -> LockedPackage | None:
    """Return the lock's torch, if it has one."""
    return next((package for package in lock.packages if package.name == "torch"), None)


def accelerator_packages(lock: Lock) -> tuple[LockedPackage, ...]:
    """Return the packages that only a GPU build of torch brings."""
    return tuple(package for package in lock.packages if _ACCELERATOR.fullmatch(package.name))


def is_cpu_build(lock: Lock) -> bool:
    """Tell whether the lock's torch is one without CUDA, by its local version or by what it brings along."""
    torch = torch_of(lock)
    if torch is None:
        return True
    local = torch.version.partition("+")[2]
    return local.startswith("cpu") or not (_ACCELERATED_LOCAL.match(local) or accelerator_packages(lock))


def cuda_companions(lock: Lock, target: Target) -> tuple[LockedPackage, ...]:
    """Return the companions of a CPU build of torch that come as CUDA builds: they do not import beside it.

    The default index's x86_64 wheels of the companions are CUDA builds, and no tag says so; CPU builds are called
    `+cpu`, or come from where the CPU build of torch does.
    """
    torch = torch_of(lock)
    if torch is None or target.arch != "x86_64" or not is_cpu_build(lock):
        return ()
    return tuple(
        package
        for package in lock.packages
        if package.name in COMPILED_COMPANIONS
        and not package.version.partition("+")[2].startswith("cpu")
        and _origin(package) != _origin(torch)
    )


def _origin(package: LockedPackage) -> tuple[str, str]:
    """Return the server of a package's file, or the folder of one that lies here."""
    parts = split_url(package.file.url)
    return ("", parts.path.rpartition("/")[0]) if parts.scheme == "file" else (parts.scheme, parts.netloc)


def cpu_build(question: Compile) -> Compiled | Failure:
    """Resolve with PyTorch's CPU index; an index that does not answer fails at once."""
    return run_compile(replace(question, torch_backend="cpu", in_haste=True))


def cpu_build_at_hand(question: Compile) -> Compiled | None:
    """Resolve to the newest CPU build of torch that lies in a find-links folder and fits, if there is one."""
    versions = cpu_versions(question.settings.find_links, question.target)
    for version in versions:
        answer = run_compile(replace(question, constraints=(f"torch=={version}",)))
        if isinstance(answer, Compiled) and is_cpu_build(answer.lock):
            return answer
    return None


def cpu_versions(find_links: Iterable[str], target: Target) -> list[str]:
    """List the versions of torch's CPU builds in the folders of ``find_links`` that fit ``target``, newest first."""
    found = set()
    for link in find_links:
        folder = Path(unquote(split_url(link).path)) if link.startswith("file:") else Path(link)
        for file in folder.glob("torch-*.whl") if folder.is_dir() else ():
            with suppress(InvalidWheelFilename, GateError):  # somebody's own file, which uv passes over as well
                version = parse_wheel_filename(unquote(file.name))[1]
                if str(version.local or "").startswith("cpu") and rank(unquote(file.name), target) is not None:
                    found.add(version)
    return [str(version) for version in sorted(found, reverse=True)]
