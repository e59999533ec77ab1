"""Pushes a release to a place of bundles: the blobs that are missing there, then its name."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from efsprov.bundle import documents
from efsprov.bundle.blobs import Place, change_index
from efsprov.bundle.documents import CONFIG, CREATED, LAYER, MANIFEST, REF, RELEASE, Descriptor
from efsprov.bundle.layers import Layer, cut
from efsprov.core import filelist
from efsprov.core.errors import IntegrityError
from efsprov.core.manifest import Manifest
from efsprov.core.wording import pluralize
from efsprov.pipeline.tools.progress import ProgressReporter, StepReport
from efsprov.store.layout import Channel
from efsprov.store.release_file import read_release_file
from efsprov.store.verify import read_files

_CHUNK: Final = 1 << 20
_THREADS: Final = 4


@dataclass(frozen=True)
class Pushed:
    """``sent`` of ``size`` bytes of blobs went there, in ``blobs`` of ``layers`` layers; the others were there."""

    ref: str
    digest: str
    layers: int
    size: int
    blobs: int
    sent: int


def push(
    channel: Channel, manifest: Manifest, place: Place, steps: ProgressReporter, *, every_blob: bool = False
) -> Pushed:
    """Push a release of a channel; ``every_blob`` sends also those that are there already.

    Every file is held against its SHA-256 while it is read, so a damaged release gets no name. Raises an ``EfsprovError``.
    """
    files = read_files(channel, manifest.id, manifest)
    layers = cut(files, filelist.dump(files), payload=channel.payload)
    top = channel.release_path(manifest.id)
    with steps.step("hash") as step:
        descriptors = _hash_all(top, layers, step)
        step.outcome = f"{pluralize(len(layers), 'layer')}, {_total(layers) / 1e6:,.0f} MB"
    release, run = documents.describe(manifest)
    config = documents.config(release, [d.digest for d in descriptors])
    config_descriptor = Descriptor(mediaType=CONFIG, digest=documents.digest_of(config), size=len(config))
    text = documents.image_manifest(config_descriptor, descriptors)
    annotations = {
        REF: documents.ref_of(manifest),
        CREATED: manifest.created.isoformat(),
        RELEASE: documents.encode(run).decode(),
    }
    bundle = Descriptor(mediaType=MANIFEST, digest=documents.digest_of(text), size=len(text), annotations=annotations)
    with steps.step("push") as step:
        missing = [
            (layer, descriptor)
            for layer, descriptor in zip(layers, descriptors, strict=True)
            if every_blob or not place.has(descriptor.digest, descriptor.size)
        ]
        _send_all(top, place, missing, step)
        for descriptor, content in ((config_descriptor, config), (bundle, text)):
            place.put(descriptor.digest, descriptor.size, [content])
        change_index(place, lambda index: index.with_bundle(bundle))
        sent = sum(descriptor.size for _, descriptor in missing)
        step.outcome = f"{pluralize(len(missing), 'layer')} of {len(layers)} sent ({sent / 1e6:,.1f} MB)"
    return Pushed(bundle.ref, bundle.digest, len(layers), _total(layers), len(missing), sent + len(config) + len(text))


def _total(layers: tuple[Layer, ...]) -> int:
    return sum(layer.size for layer in layers)


class _Counter:
    def __init__(self, step: StepReport, total: int) -> None:
        self._step, self._total, self._done, self._lock = step, total, 0, Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._step.bytes(self._done, self._total)


def _hash_all(top: Path, layers: tuple[Layer, ...], step: StepReport) -> list[Descriptor]:
    counter = _Counter(step, _total(layers))

    def digest(layer: Layer) -> Descriptor:
        hashed = hashlib.sha256()
        for chunk in layer_bytes(top, layer, held=True):
            hashed.update(chunk)
            counter.add(len(chunk))
        return Descriptor(mediaType=LAYER, digest=f"sha256:{hashed.hexdigest()}", size=layer.size)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(digest, layers))


def _send_all(top: Path, place: Place, missing: list[tuple[Layer, Descriptor]], step: StepReport) -> None:
    counter = _Counter(step, sum(descriptor.size for _, descriptor in missing))

    def send(one: tuple[Layer, Descriptor]) -> None:
        layer, descriptor = one

        def chunks() -> Iterator[bytes]:
            hashed, last = hashlib.sha256(), b""
            for chunk in layer_bytes(top, layer, held=False):
                if last:
                    yield last
                hashed.update(chunk)
                counter.add(len(chunk))
                last = chunk
            if f"sha256:{hashed.hexdigest()}" != descriptor.digest:  # before the last of it is handed on
                raise IntegrityError(
                    f"{top} changed while it was pushed.", hint="`efsprov verify` says what is wrong with it."
                )
            yield last

        place.put(descriptor.digest, descriptor.size, chunks())

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(send, missing))


def layer_bytes(top: Path, layer: Layer, *, held: bool) -> Iterator[bytes]:
    """Yield a layer's bytes from a release's folder; with ``held`` every file is held against its SHA-256.

    Raises ``IntegrityError`` for a file that is not what the list says, ``RootError``.
    """
    small = bytearray()
    for part in layer.parts:
        if part.file is None:
            small += part.data
        else:
            for chunk in read_release_file(top, part.file, hashed=held):
                small += chunk
                if len(small) >= _CHUNK:
                    yield bytes(small)
                    small.clear()
    if small:
        yield bytes(small)
