"""Helpers of the tests: push, pull, and bundles made by somebody else."""

import json
from pathlib import Path

from efsprov.bundle import documents
from efsprov.bundle.blobs import open_bundle, read_index
from efsprov.bundle.documents import CONFIG, LAYER, MANIFEST, Descriptor
from efsprov.bundle.folder import FolderPlace
from efsprov.bundle.pull import pull, read_contents
from efsprov.bundle.push import push
from efsprov.core.events import SILENT
from efsprov.core.manifest import Manifest
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.journal import read_state
from efsprov.store.verify import read_manifest

STEPS = ProgressReporter(SILENT)


def push_current(channel, place, **more):
    """Push a channel's current release."""
    return push(channel, read_manifest(channel, read_state(channel).current), place, STEPS, **more)


def pull_into(channel, place, wanted="", *, run="run-of-a-test", activate=True):
    """Place a bundle in a channel."""
    contents = read_contents(open_bundle(place, wanted), Manifest)
    return pull(channel, contents, STEPS, run=run, reader=read_manifest, activate=activate)


class Forger:
    """Changes the bundle of a folder as somebody else would: every digest above the change is right again."""

    def __init__(self, place: FolderPlace) -> None:
        self.place = place
        (descriptor,) = read_index(place).manifests
        self.manifest = json.loads(self.blob(descriptor.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        self.release = json.loads(self.config["config"]["Labels"][documents.RELEASE])
        self._ref = descriptor.ref

    def path(self, digest: str) -> Path:
        return self.place.path / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def blob(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def add(self, content: bytes, kind: str) -> Descriptor:
        made = Descriptor(mediaType=kind, digest=documents.digest_of(content), size=len(content))
        self.place.put(made.digest, made.size, [content])
        return made

    def replace_layer(self, number: int, content: bytes) -> None:
        self.manifest["layers"][number] = self.add(content, LAYER).dump()
        self.config["rootfs"]["diff_ids"][number] = documents.digest_of(content)

    def finish(self) -> None:
        self.config["config"]["Labels"][documents.RELEASE] = json.dumps(self.release)
        self.manifest["config"] = self.add(documents.encode(self.config), CONFIG).dump()
        made = self.add(documents.encode(self.manifest), MANIFEST)
        named = made.model_copy(update={"annotations": {documents.REF: self._ref}})
        index = documents.ImageIndex(manifests=(named,))
        (self.place.path / "index.json").write_bytes(index.dump())
