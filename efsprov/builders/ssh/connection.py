"""SSH, the transport: connections to hosts whose keys are verified, and programs on them. The one user of fabric."""

import binascii
import contextlib
import io
import logging
import select
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import fabric
import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    PasswordRequiredException,
    SSHException,
)

from efsprov.builders.failures import ConnectionFailure
from efsprov.builders.ssh.destination import SshTarget
from efsprov.builders.ssh.proxy import Proxy
from efsprov.core.errors import UsageError

# What paramiko logs it raises, too; without a handler Python would print it, with its traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
_CHUNK: Final = 1 << 16
_STDERR_TAIL: Final = 32 << 10
_STDOUT_LIMIT: Final = 1 << 20
_SYSTEM_KNOWN_HOSTS: Final = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class Completed:
    """A program that ran to its end on a host; its output is bounded (the beginning of stdout, the end of stderr)."""

    code: int
    stdout: str
    stderr: str


class SshConnection:
    """An open connection to a verified host; a context manager."""

    def __init__(self, target: SshTarget) -> None:
        """Connect. Raises ``ConnectionFailure``, or ``UsageError`` for what is not a host; before the host key is verified nothing but the handshake is sent."""
        target.checked()  # before ssh_config is read: its `Match exec` runs a command with the host in it
        self.label = f"{target.user}@{target.host}" if target.user else target.host
        config = fabric.Config(lazy=True)
        config.load_ssh_config()
        self._connection = fabric.Connection(
            target.host,
            user=target.user,
            port=target.port,
            gateway=target.proxy_command or None,  # else that of ~/.ssh/config
            connect_timeout=target.connect_seconds,
            config=config,
            connect_kwargs=_authentication(target),
        )
        _verify_keys(self._connection, target.host_key, target.known_hosts)
        self._proxy: Proxy | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            if isinstance(self._connection.gateway, str):
                self._proxy = Proxy(self._connection.gateway)
                self._connection.gateway = None
                self._connection.connect_kwargs["sock"] = self._proxy.socket
            try:
                with _failures(self.label, lost=f"{self.label} cannot be reached"):
                    self._connection.open()
                    self._transport.set_keepalive(10)
            except ConnectionFailure as failure:
                raise (self._proxy.explain(failure) if self._proxy else failure) from failure.__cause__
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and those that it goes through."""
        connection: Any = self._connection
        while isinstance(connection, fabric.Connection):
            connection.client.close()
            connection = connection.gateway
        if self._proxy is not None:
            self._proxy.close()

    def start(self, argv: Sequence[str]) -> "RemoteProgram":
        """Start a program on the host; its arguments arrive there as they are."""
        with _failures(self.label):
            channel = self._transport.open_session(timeout=30)
            channel.settimeout(60)
            channel.exec_command(shlex.join(argv))
        return RemoteProgram(channel, self.label)

    def execute(self, argv: Sequence[str], stdin: bytes = b"") -> Completed:
        """Run a program on the host to its end."""
        with contextlib.closing(self.start(argv)) as program:
            program.write(stdin)
            program.end_stdin()
            kept = bytearray()
            while (piece := program.read(60)) != b"":
                kept += (piece or b"")[: _STDOUT_LIMIT - len(kept)]
            return Completed(program.exit_code(), kept.decode("utf-8", "replace"), program.stderr)

    @property
    def _transport(self) -> paramiko.Transport:
        transport: paramiko.Transport | None = self._connection.client.get_transport()
        if transport is None or not transport.is_active():
            raise ConnectionFailure("lost", f"The connection to {self.label} is closed.")
        return transport


class RemoteProgram:
    """A program that runs on a host. Nothing of what it prints is kept but the end of its stderr."""

    def __init__(self, channel: paramiko.Channel, label: str) -> None:
        self._channel = channel
        self._label = label
        self._stderr = bytearray()

    @property
    def stderr(self) -> str:
        """The end of what it printed to stderr so far."""
        return self._stderr.decode("utf-8", "replace").strip()

    def write(self, data: bytes) -> None:
        """Send to its stdin; what comes after its end is lost."""
        sent = 0
        with _failures(self._label):
            while sent < len(data) and not self._channel.closed:
                try:
                    sent += self._channel.send(data[sent : sent + _CHUNK])
                except OSError:
                    if not self._channel.closed:  # stuck, not ended
                        raise

    def end_stdin(self) -> None:
        """Close its stdin."""
        with _failures(self._label):
            self._channel.shutdown_write()

    def read(self, seconds: float) -> bytes | None:
        """Return what it printed: some bytes, b"" at the end, None when there was nothing in ``seconds``.

        Raises ``ConnectionFailure`` when the connection ended before the program did.
        """
        with _failures(self._label):
            while True:
                while self._channel.recv_stderr_ready():
                    self._stderr += self._channel.recv_stderr(_CHUNK)
                    del self._stderr[:-_STDERR_TAIL]
                if self._channel.recv_ready():
                    return self._channel.recv(_CHUNK)
                if self._channel.exit_status_ready() and self._channel.eof_received:
                    return b""
                if self._channel.closed:
                    raise ConnectionFailure("lost", f"The connection to {self._label} was lost.")
                # readable when either stream has something, or at the end; a wait that is cut short is no harm
                if not select.select([self._channel], [], [], min(seconds, 0.5))[0] and (seconds := seconds - 0.5) <= 0:
                    return None

    def exit_code(self) -> int:
        """Return its exit code, once it has ended."""
        return self._channel.recv_exit_status()

    def close(self) -> None:
        """Stop listening to it."""
        with contextlib.suppress(SSHException, EOFError, OSError):  # a connection that is gone takes no goodbye
            self._channel.close()


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Takes no key that is not known, and says what to do about it."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Refuse; called before anything is sent to the host."""
        del client
        raise ConnectionFailure(
            "key",
            f"The host {hostname} is not known here. It shows the key {key.get_name()} {key.fingerprint}. Nothing was sent.",
            hint="Compare that with the host's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console); "
            "then let `ssh` add it to known_hosts, or pin it with --host-key.",
        )


def _verify_keys(connection: Any, pinned: str, known_hosts: tuple[Path, ...]) -> None:
    """Make the connection, and those that it goes through, take the expected host keys only."""
    connection.client.set_missing_host_key_policy(_Refuse())
    name = connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"
    trusted = connection.client.get_host_keys()
    if pinned:
        kind, _, encoded = pinned.strip().partition(" ")
        try:
            key = paramiko.PKey.from_type_string(kind, binascii.a2b_base64(encoded.partition(" ")[0]))
        except (SSHException, ValueError, UnknownKeyType) as error:
            raise UsageError(
                f"{pinned[:60]!r} is not a host key.",
                hint="It is the first two words of a .pub file: 'ssh-ed25519 AAAA...'.",
            ) from error
        trusted.add(name, key.get_name(), key)
    else:
        known = _known_keys(known_hosts or _known_hosts_files(connection.ssh_config))
        alias = connection.ssh_config.get("hostkeyalias", name)
        for key_type, key in (known.lookup(alias) or {}).items():
            trusted.add(name, key_type, key)
    if isinstance(connection.gateway, fabric.Connection):
        _verify_keys(connection.gateway, "", known_hosts)


def _known_hosts_files(ssh_config: Any) -> tuple[Path, ...]:
    named = str(ssh_config.get("userknownhostsfile", "")).split()
    return tuple(Path(name).expanduser() for name in (named or _SYSTEM_KNOWN_HOSTS))


def _known_keys(files: tuple[Path, ...]) -> HostKeys:
    """Read known_hosts files; keys that a line marks as revoked are left out wherever else they stand.

    Certificate authorities (`@cert-authority`) are passed over: paramiko verifies keys, not host certificates.
    """
    lines = [
        line.split() for file in files if file.is_file() for line in file.read_text("utf-8", "replace").splitlines()
    ]
    revoked = {words[3] for words in lines if words[:1] == ["@revoked"] and len(words) > 3}
    keys = HostKeys()
    for words in lines:
        if len(words) < 3 or words[0].startswith(("#", "@")) or words[2] in revoked:
            continue
        with contextlib.suppress(InvalidHostKey):  # one damaged line does not make the others unknown
            if entry := HostKeyEntry.from_line(" ".join(words)):
                for name in entry.hostnames or ():
                    keys.add(name, words[1], entry.key)
    return keys


def _authentication(target: SshTarget) -> dict[str, Any]:
    if target.private_key:
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(target.private_key))
        return {"pkey": key, "look_for_keys": False, "allow_agent": False, "banner_timeout": 20, "auth_timeout": 20}
    files = [str(target.identity.expanduser())] if target.identity else []
    return {"key_filename": files, "banner_timeout": 20, "auth_timeout": 20}


@contextlib.contextmanager
def _failures(label: str, *, lost: str = "") -> Iterator[None]:
    """Turn what paramiko and the system raise into ``ConnectionFailure``; ``lost`` says what a broken connection means."""
    try:
        yield
    except BadHostKeyException as error:
        raise ConnectionFailure(
            "key",
            f"The key of {label} is not the expected one: it shows {error.key.get_name()} {error.key.fingerprint}, "
            f"expected was {error.expected_key.get_name()} {error.expected_key.fingerprint}. Nothing was sent.",
            hint="Somebody may be in between, or the host was set up again. Only if you know that it was: "
            "`ssh-keygen -R HOST`, then add its new key.",
        ) from error
    except PasswordRequiredException as error:
        raise ConnectionFailure(
            "refused", f"{label}: the private key has a passphrase.", hint="Load it into an agent: `ssh-add FILE`."
        ) from error
    except AuthenticationException as error:
        raise ConnectionFailure(
            "refused",
            f"{label} refused the login: {error}",
            hint="`ssh` to it must work without a question being asked: check user, key and agent.",
        ) from error
    except NoValidConnectionsError as error:
        reasons = ", ".join(
            sorted({getattr(reason, "strerror", None) or str(reason) for reason in error.errors.values()})
        )
        raise ConnectionFailure(
            "lost", f"{label} cannot be reached: {reasons}.", hint="Is it up, and is its port open?"
        ) from error
    except (SSHException, EOFError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ConnectionFailure("lost", f"{lost or f'The connection to {label} was lost'}: {reason}.") from error
