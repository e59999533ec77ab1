"""Publishes a model on the file system when it is uploaded to S3, once, whatever is delivered twice or late.

Handler: ``provision_from_s3.handler``, for events of S3 (s3:ObjectCreated:*) or EventBridge ("Object Created"). Deploy it with
efsprov itself (docs/how-to/models/from-s3.md) and the file system mounted writable. Variables: EFSPROV_ROOT
(such as /mnt/efs); as options PREFIX (models/), MADE_FOR (the channel of dependencies that the models want), TRUST (what may
run code when it is loaded, such as ``h5,torchscript``; see docs/reference/model-formats.md) and ACTIVATE (``no`` leaves
`current` as it is). The model is brought to EFSPROV_CACHE (/tmp/efsprov) first: give the function as much of /tmp.

PREFIX + ``net.onnx`` (or ``net.tar.gz``) becomes the model ``net``. A folder PREFIX + ``net/...`` becomes it when an object
``_SUCCESS`` is put into it, after all others. Answer: ``{"provisioned": [{"model": "net", "outcome": "published", "release":
"20261121T063000Z-3f2a9c1b"}]}``. What cannot be published is raised: Lambda tries again and then tells its on-failure
destination.
"""

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from efsprov.aws.objects import S3Source
from efsprov.aws.session import open_session
from efsprov.core.events import Event
from efsprov.models.policy import read_trust
from efsprov.models.provision import Provision, provision
from efsprov.models.uploads import COMPLETE, SEQUENCER, Upload, name_of, read_uploads, superseded_by
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import project
from efsprov.store.journal import read_state
from efsprov.store.layout import Root

PREFIX = os.environ.get("PREFIX", "models/")
AWS = open_session()
LOG = logging.getLogger()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Publish each upload that the event tells of."""
    wanted = [each for each in read_uploads(event) if "/" not in each.key.removeprefix(PREFIX) or each.is_folder]
    return {"provisioned": [publish(upload) for upload in wanted]}


def publish(upload: Upload) -> dict[str, Any]:
    """Publish one upload, unless it or a later one of the same object is published already."""
    name = name_of(upload, PREFIX)
    channel = Root.open(Path(os.environ["EFSPROV_ROOT"]), writing=True).channel(name, kind="model")
    uri = f"s3://{upload.bucket}/{upload.source_key}"
    later = partial(superseded_by, uri=uri, sequencer=upload.sequencer)
    if channel.exists and (found := later(channel, read_state(channel))):
        project(channel)  # who made it current may have been killed half-way
        return {"model": name, "outcome": "superseded", "release": found}
    version = None if upload.is_folder else upload.version
    source = S3Source(AWS, upload.bucket, upload.source_key, version, left_out=frozenset({COMPLETE}))
    options = Provision(
        made_for=os.environ.get("MADE_FOR", ""),
        origin={SEQUENCER: upload.sequencer},
        superseded_by=later,
        trusted=read_trust(os.environ.get("TRUST", "").split(",")),
        activate=os.environ.get("ACTIVATE", "yes") != "no",
    )
    done = provision(channel, source, options, ProgressReporter(tell))
    return {"model": name, "outcome": done.outcome, "release": done.release}


def tell(event: Event) -> None:
    """Log what a step has to say."""
    if event.state in {"note", "warning", "finished"}:
        LOG.warning("%s: %s (%.1f s)", event.step, event.message, event.seconds)
