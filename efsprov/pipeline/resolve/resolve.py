"""Resolves requirements into a lock for one target: by uv, with wheels that fit, PyTorch without CUDA."""

from dataclasses import dataclass, replace

from packaging.version import Version

from efsprov.core.errors import UsageError
from efsprov.core.lock import Lock
from efsprov.core.masking import mask
from efsprov.core.plan import NeededConsent
from efsprov.core.requirements import allows_prerelease, requirement_name
from efsprov.core.target import Target
from efsprov.core.wheels import rank
from efsprov.core.wording import join
from efsprov.pipeline.resolve.blame import most_telling
from efsprov.pipeline.resolve.download_sizes import with_sizes
from efsprov.pipeline.resolve.explain import explain, is_final
from efsprov.pipeline.resolve.requirement_files import Requirements
from efsprov.pipeline.resolve.resolver import Compile, Compiled, run_compile
from efsprov.pipeline.resolve.torch import (
    TORCH_FAMILY,
    accelerator_packages,
    cpu_build,
    cpu_build_at_hand,
    cuda_companions,
    is_cpu_build,
    torch_of,
)
from efsprov.pipeline.resolve.uv_failure import Failure, Kind
from efsprov.pipeline.tools.installer_settings import InstallerSettings
from efsprov.pipeline.tools.uv import UV_GLIBC

CUDA = "cuda"
CUDA_FLAG = "--cuda"


@dataclass(frozen=True)
class ResolveRequest:
    """What to resolve. ``targets`` are tried in their order, and the first for which every wheel exists is taken.

    ``torch_backend``: None prefers PyTorch's CPU build, unless ``settings`` have a backend; "cuda" takes what the
    indexes have, anything else is uv's.
    """

    requirements: Requirements
    targets: tuple[Target, ...]
    settings: InstallerSettings
    torch_backend: str | None = None
    allow_sdists: bool = False


@dataclass(frozen=True)
class Resolution:
    """One file of each package, for ``target``. ``requested`` are the distributions that were asked for by name.

    ``consents`` are what a sync must not do unless it is told to; ``notes`` what the user should know.
    """

    target: Target
    lock: Lock
    requested: tuple[str, ...]
    requirements: tuple[str, ...]
    notes: tuple[str, ...] = ()
    consents: tuple[NeededConsent, ...] = ()

    @property
    def lock_text(self) -> str:
        """The lock as `pylock.toml`."""
        return self.lock.dump()


@dataclass(frozen=True)
class _Found:
    lock: Lock
    notes: tuple[str, ...]
    consents: tuple[NeededConsent, ...] = ()


def resolve(request: ResolveRequest) -> Resolution:
    """Find the newest versions that fit the first possible target.

    Raises ``UsageError`` for a requirement that is none, ``GateError`` where wheels and target do not go together,
    naming the runtimes that would do, ``ResolveError`` where there is no solution at all, and ``FetchError`` where an
    index cannot be read.
    """
    if not request.targets:
        raise UsageError("There is no target to resolve for.", hint="--runtime names one.")
    questions = [
        Compile(request.requirements, target, request.settings, allow_sdists=request.allow_sdists)
        for target in request.targets
    ]
    failed: list[tuple[Compile, Failure]] = []
    prerelease: Resolution | None = None
    for question in questions:
        answer = _resolve_for(question, request.torch_backend or request.settings.torch_backend)
        if isinstance(answer, _Found):
            resolution = _resolution(question, answer, failed)
            if not _unrequested_prereleases(resolution):
                return resolution
            prerelease = prerelease or resolution  # an older runtime may have a finished version
        else:
            failed.append((question, answer))
            if is_final(answer):
                break
    if prerelease:
        return replace(prerelease, notes=(*prerelease.notes, *_unrequested_prereleases(prerelease)))
    question, failure = failed[-1] if is_final(failed[-1][1]) else most_telling(failed)
    raise explain(question, failure, tried=[q.target for q, _ in failed], failures=[f for _, f in failed])


def _resolution(question: Compile, found: _Found, failed: list[tuple[Compile, Failure]]) -> Resolution:
    query = question.requirements
    notes = found.notes
    if failed:
        runtimes = join([question.target.runtime for question, _ in failed])
        notes = (f"{runtimes} {'is' if len(failed) == 1 else 'are'} passed over: {failed[-1][1].explanation}", *notes)
    return Resolution(question.target, found.lock, query.names, query.shown, notes, found.consents)


def _unrequested_prereleases(resolution: Resolution) -> tuple[str, ...]:
    """Say which packages that were asked for come as a pre-release, though no requirement speaks of one."""
    spoken = {requirement_name(text) for text in resolution.requirements if allows_prerelease(text)}
    return tuple(
        f"{package.name} {package.version} is a pre-release: no finished version fits {resolution.target}."
        for package in resolution.lock.packages
        if package.name in set(resolution.requested) - spoken and Version(package.version).is_prerelease
    )


def _resolve_for(question: Compile, backend: str | None) -> _Found | Failure:
    if backend not in {None, CUDA}:
        question = replace(question, torch_backend=backend)
    answer = _compile(question)
    if isinstance(answer, Failure):
        return (
            answer
            if backend or answer.kind in {Kind.UNREACHABLE, Kind.FILE, Kind.SETTING}
            else _only_without_cuda(question, answer)
        )
    if torch_of(answer.lock) is None:
        return _Found(answer.lock, answer.warnings)
    if backend:
        return _Found(answer.lock, (*answer.warnings, _torch_note(answer.lock, "as asked for")))
    if is_cpu_build(answer.lock):
        found = _Found(answer.lock, (*answer.warnings, _torch_note(answer.lock, "as your indexes have it")))
        return _with_companions(question, found)
    return _with_companions(question, _without_cuda(question, answer))


def _with_companions(question: Compile, found: _Found) -> _Found:
    """Companions of torch follow its build; where one comes as a CUDA build beside a CPU build, say so and ask."""
    foreign = cuda_companions(found.lock, question.target)
    torch = torch_of(found.lock)
    if not foreign or torch is None:
        return found
    cpu = cpu_build(question)
    if isinstance(cpu, Compiled) and is_cpu_build(cpu.lock) and not cuda_companions(cpu.lock, question.target):
        return _Found(
            cpu.lock, (*cpu.warnings, _torch_note(cpu.lock, "from PyTorch's CPU index, as its companions are"))
        )
    names = join([f"{package.name} {package.version}" for package in foreign])
    comes = "comes as a CUDA build, which does" if len(foreign) == 1 else "come as CUDA builds, which do"
    message = (
        f"{names} {comes} not import beside the CPU build of torch {torch.version}: there is no CPU build of it "
        f"in your indexes, and {_cpu_index_says(cpu)}."
    )
    size = sum(package.file.size or 0 for package in foreign)
    return replace(
        found, consents=(*found.consents, NeededConsent(kind=CUDA, message=message, flag=CUDA_FLAG, size=size))
    )


def _only_without_cuda(question: Compile, failure: Failure) -> _Found | Failure:
    """PyTorch's CPU index may have what the other indexes lack: `torch==2.6.0+cpu`."""
    if TORCH_FAMILY & set(question.requirements.names):
        cpu = cpu_build(question)
        if isinstance(cpu, Compiled):
            return _Found(cpu.lock, (*cpu.warnings, _torch_note(cpu.lock, "from PyTorch's CPU index")))
    return failure


def _without_cuda(question: Compile, plain: Compiled) -> _Found:
    """Replace a CUDA build by a CPU build, from where there is one; where there is none, ask."""
    cpu = cpu_build(question)
    if isinstance(cpu, Compiled) and is_cpu_build(cpu.lock):
        return _Found(cpu.lock, (*cpu.warnings, _torch_note(cpu.lock, "from PyTorch's CPU index")))
    at_hand = cpu_build_at_hand(question)
    if at_hand is not None:
        return _Found(at_hand.lock, (*at_hand.warnings, _torch_note(at_hand.lock, "the newest in your find-links")))
    torch = torch_of(plain.lock)
    extra = with_sizes(Lock(accelerator_packages(plain.lock)), question.settings)
    name = f"torch {torch.version}" if torch else "torch"
    cost = f"{extra.size / 1e9:.1f} GB in " if extra.size else ""
    message = (
        f"{name} comes as its CUDA build, with {cost}{len(extra.packages)} GPU packages that no Lambda function can use: "
        f"there is no CPU build of it in your indexes, and {_cpu_index_says(cpu)}."
    )
    consent = NeededConsent(kind=CUDA, message=message, flag=CUDA_FLAG, size=extra.size)
    return _Found(plain.lock, plain.warnings, (consent,))


def _cpu_index_says(answer: Compiled | Failure) -> str:
    if isinstance(answer, Failure) and answer.kind is Kind.UNREACHABLE:
        return f"PyTorch's CPU index cannot be reached ({mask(answer.explanation)})"
    return "PyTorch's CPU index has none that fits"


def _compile(question: Compile) -> Compiled | Failure:
    """Resolve; where uv knows no platform of exactly this glibc, wheels between its older and its next one count, too.

    uv knows manylinux_2_17 and then manylinux_2_28: a wheel that is tagged manylinux_2_24 fits Amazon Linux 2 (2.26),
    and shows only in the second.
    """
    answer = run_compile(question)
    minor = question.target.glibc[1]
    if isinstance(answer, Failure) and minor not in UV_GLIBC and minor < UV_GLIBC[-1]:
        wider = run_compile(replace(question, glibc=min(n for n in UV_GLIBC if n > minor)))
        if isinstance(wider, Compiled) and all(
            package.wheels == () or rank(package.file.filename, question.target) is not None
            for package in wider.lock.packages
        ):
            return wider
    return answer


def _torch_note(lock: Lock, origin: str) -> str:
    torch = torch_of(lock)
    build = "the CPU build" if is_cpu_build(lock) else "a CUDA build"
    return f"torch {torch.version} is {build}, {origin}." if torch else ""
