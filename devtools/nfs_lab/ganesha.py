"""How NFS-Ganesha is told to behave like EFS: the same for the server in the guest and for the one on the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PORT = 2049
_LINES = 20

# EFS: NFSv4.1 alone, no delegations, numeric owners. Without a grace period clients of a restarted server go on at once.
_TEMPLATE = """
NFS_CORE_PARAM {{ Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; NFS_Port = {port}; fsid_device = false; }}
NFSV4 {{ Graceless = true; Lease_Lifetime = {lease}; Grace_Period = 0; Delegations = false; Minor_Versions = 1;
        RecoveryBackend = fs; RecoveryRoot = "{recovery}"; Only_Numeric_Owners = true; }}
EXPORT {{ Export_Id = 1; Path = "{export}"; Pseudo = /; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
         Protocols = 4; Transports = TCP; Filesystem_Id = 7.7; FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = WARN; }}
"""


@dataclass(frozen=True)
class Ganesha:
    """A server's files, all in ``folder``, and the folder that it exports."""

    folder: Path
    export: Path

    @classmethod
    def on_host(cls, folder: Path) -> "Ganesha":
        """The server outside the guest, with its export beside its files."""
        return cls(folder, folder / "export")

    @property
    def log(self) -> Path:
        """What the server writes down."""
        return self.folder / "ganesha.log"

    @property
    def output(self) -> Path:
        """What it writes to standard output and error."""
        return self.folder / "ganesha.out"

    def configure(self, lease_seconds: int) -> None:
        """Write the configuration; once, before the first start."""
        recovery = self.folder / "ganesha-recovery"
        recovery.mkdir(exist_ok=True)
        text = _TEMPLATE.format(port=PORT, lease=lease_seconds, recovery=recovery, export=self.export)
        self._configuration.write_text(text, encoding="utf-8")

    @property
    def argv(self) -> Sequence[str]:
        """The command that runs it in the foreground."""
        pid = self.folder / "ganesha.pid"
        return ["ganesha.nfsd", "-F", "-f", str(self._configuration), "-L", str(self.log), "-p", str(pid)]

    def log_tail(self) -> str:
        """The last lines of its log and output."""
        text = [path.read_text(errors="replace") for path in (self.log, self.output) if path.exists()]
        return "\n".join("".join(text).splitlines()[-_LINES:])

    @property
    def _configuration(self) -> Path:
        return self.folder / "ganesha.conf"
