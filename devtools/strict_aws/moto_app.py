"""Moto as one application for the whole process, and small: its routes are read once, and it knows few machine images.

Moto keeps its resources in the process, not in an application, so one application serves every double.
"""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

_DATA = Path(__file__).parent / "data"


@functools.cache
def moto_app() -> Any:
    """The WSGI application that answers for every service of moto's.

    Moto would make 1,290 images, each with a volume and a snapshot, for every region at every reset, and a cache in its
    ``AccountSpecificBackend`` keeps 128 of those worlds: hence the setting, which it reads when EC2 is first asked.
    http://docs.getmoto.org/en/latest/docs/services/ec2.html
    """
    os.environ["MOTO_AMIS_PATH"] = str(_DATA / "images.json")
    return DomainDispatcherApplication(create_backend_app)


def is_elsewhere(image: str, region: str) -> bool:
    """Whether an image is another region's: moto shows the images of ``MOTO_AMIS_PATH`` in every region."""
    return _regions().get(image, region) != region


@functools.cache
def _regions() -> Mapping[str, str]:
    regions: Mapping[str, str] = json.loads((_DATA / "image_regions.json").read_text())
    return regions
