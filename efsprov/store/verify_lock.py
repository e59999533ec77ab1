"""Whether a release's lock is the one that its manifest names.

Apart from `verify`, which the smallest packages carry too: a lock is read by `packaging`, which they do not have.
"""

from efsprov.core import lock as locks
from efsprov.core.errors import EfsprovError
from efsprov.core.lock import parse_lock
from efsprov.store.layout import Channel
from efsprov.store.verify import Finding, read_manifest


def check_lock(channel: Channel, release: str) -> tuple[Finding, ...]:
    """Hold the packages of a release's lock against its manifest; older manifests, and models, name none.

    A manifest that cannot be read is not a finding here: `verify.check_release` has it.
    """
    where = f"releases/{release}/{locks.NAME}"
    try:
        manifest = read_manifest(channel, release)
    except EfsprovError:
        return ()
    if not manifest.packages_digest:
        return ()
    try:
        found = parse_lock((channel.release_path(release) / locks.NAME).read_text("utf-8")).digest
    except (EfsprovError, OSError, UnicodeDecodeError) as error:
        return (Finding(where, f"is not a lock: {error}"),)
    if found == manifest.packages_digest:
        return ()
    return (Finding(where, "is not the lock that the manifest names: its packages are others"),)
