"""What a function is configured to be, and what follows from that: its mounts and its environment variables."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devtools.lambda_sandbox.runtime import Runtime
from devtools.lambda_sandbox.sandbox import Bind, Entry, Tmpfs

REGION = "us-east-1"
ACCOUNT = "123456789012"
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Function:
    """A deployed function.

    ``code`` is the folder with the handler's module and becomes /var/task; each of ``layers`` is a folder as it lies in
    /opt (so modules are in its ``python/``), a later one over an earlier one. ``mounts`` maps a path in the function
    (``/mnt/efs``) to a folder here, writable unless it is a Bind that says otherwise. ``tmp_mb`` of /tmp are memory of
    this machine as far as they are written. ``timeout`` and ``init_timeout`` are seconds. ``limit_memory`` holds the address
    space to ``memory_mb``, which is more than Lambda counts: frameworks map far more than they touch.
    """

    runtime: Runtime
    code: Path
    handler: str
    name: str = "function"
    variables: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[Path] = ()
    mounts: Mapping[str, Path | Bind] = field(default_factory=dict)
    timeout: float = 3
    init_timeout: float = 10
    memory_mb: int = 128
    tmp_mb: int = 512
    limit_memory: bool = False
    freeze: bool = True

    @property
    def arn(self) -> str:
        """Unqualified."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"

    def limits(self) -> dict[str, int]:
        """Resource limits of the runtime process; 1,024 file descriptors are a quota of Lambda's."""
        return {"RLIMIT_NOFILE": 1024, "RLIMIT_CORE": 0} | (
            {"RLIMIT_AS": self.memory_mb * MIB} if self.limit_memory else {}
        )

    def entries(self, opt: Path) -> list[Entry]:
        """The sandbox's file system beside the machine's; ``opt`` is the folder that holds the merged layers."""
        mounts = [
            mounted if isinstance(mounted, Bind) else Bind(mounted, target, read_only=False)
            for target, mounted in self.mounts.items()
        ]
        return [
            *self.runtime.entries(),
            Bind(self.code, "/var/task"),
            Bind(opt, "/opt"),
            Tmpfs("/tmp", self.tmp_mb * MIB),
            *mounts,
        ]

    def environ(self, api_address: str, log_stream: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, and the function's own variables."""
        packages = f"/opt/python/lib/{self.runtime.name}/site-packages"
        defaults = {
            "LANG": "en_US.UTF-8",
            "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "TZ": ":UTC",
        }
        reserved = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self.runtime.name}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_LAMBDA_RUNTIME_API": api_address,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LAMBDA_TASK_ROOT": "/var/task",
            "_HANDLER": self.handler,
        }
        environ = defaults | dict(self.variables) | reserved
        own = [environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else []
        environ["PYTHONPATH"] = ":".join([*own, packages, "/opt/python", "/var/runtime"])
        return environ


def merge_layers(layers: Sequence[Path], into: Path) -> None:
    """Lay the layers over each other, in their order."""
    for layer in layers:
        shutil.copytree(layer, into, symlinks=True, dirs_exist_ok=True)
