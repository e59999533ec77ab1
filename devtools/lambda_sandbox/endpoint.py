"""AWS Lambda on a loopback port: boto3's ``lambda`` client creates, changes and invokes functions that really run."""

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from devtools.lambda_sandbox.environment import Invocation
from devtools.lambda_sandbox.functions import Functions, VpcId
from devtools.lambda_sandbox.invoker import Invoker, Mounts
from devtools.lambda_sandbox.layers import Layers
from devtools.lambda_sandbox.rest_json import RestJsonServer
from devtools.lambda_sandbox.runtime import Runtime
from devtools.lambda_sandbox.uploads import ReadObject, Uploads, no_objects
from devtools.lambda_sandbox.versions import Versions


class LambdaEndpoint(RestJsonServer):
    """The service, for ``boto3.client("lambda", endpoint_url=endpoint.url)``.

    ``runtimes`` maps Lambda's names (``python3.11``) to what runs them. ``mounts`` maps an access point (its ARN, or the
    id at its end) to the folder that its functions find at their LocalMountPath, or to a Bind for a read-only one; a
    change to it holds for environments that start later. ``read_object`` is S3. ``concurrency`` is the most environments of
    one function that work at a time. ``reads_until_settled`` says how often a function must be read before a change has
    taken effect.

    `requests` and `count` tell what the client sent; `functions`, `invoker` and `layers` are the service's parts.
    """

    def __init__(
        self,
        runtimes: Mapping[str, Runtime],
        *,
        mounts: Mounts | None = None,
        read_object: ReadObject = no_objects,
        concurrency: int = 10,
        reads_until_settled: int = 0,
        vpc_id: VpcId = "vpc-0123456789abcdef0",
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="lambda-endpoint-")
        folder, uploads = Path(self._scratch.name), Uploads(read_object)
        architecture = platform.machine().replace("aarch64", "arm64")
        self.layers = Layers(folder / "layers", uploads)
        self.functions = Functions(folder / "functions", self.layers, uploads, vpc_id=vpc_id, reads=reads_until_settled)
        self.invoker = Invoker(self.functions, runtimes, {} if mounts is None else mounts, architecture, concurrency)
        super().__init__("lambda", self.functions, Versions(self.functions), self.layers, self.invoker)

    @property
    def invocations(self) -> list[Invocation]:
        """What came of every event that reached a function, in the order of their ends."""
        return self.invoker.invocations

    def close(self) -> None:
        """End the functions and stop serving; raises what went wrong in the endpoint itself."""
        self.invoker.close()
        try:
            super().close()
        finally:
            self._scratch.cleanup()
