"""Process 1 of a pretended EC2 instance: does what cloud-init does with the user-data, in mount and process namespaces of its own.

What an Amazon Linux instance has and this machine has not stands in a folder in front of PATH: `dnf` and `systemctl`
only note what they were asked, `mount -t efs` binds the folder that stands for the file system, `systemctl poweroff`
ends the instance. Everything else is real: sshd with the host key of the user-data, the scripts, the programs.
Usage: instance_init.py CONFIGURATION
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

STUBS = Path("/run/stubs")
NOTES = Path("/run/notes")
SSHD = """
Port {port}
ListenAddress {address}
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /run/login/authorized_keys
PidFile /run/login/sshd.pid
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
LogLevel VERBOSE
MaxStartups 100
SetEnv {environment}
"""
PROGRAMS = {
    "dnf": """#!/bin/sh
echo "dnf $*" >> /run/notes
{dnf}
""",
    "mount": """#!/bin/sh
echo "mount $*" >> /run/notes
[ "$1 $2" = "-t efs" ] || exec {mount} "$@"
for last; do :; done
{mount} --bind {file_system} "$last"
""",
    "sysctl": """#!/bin/sh
echo "sysctl $*" >> /run/notes
""",
    "systemctl": """#!/bin/sh
echo "systemctl $*" >> /run/notes
case "$*" in
is-active*) exit 3 ;;
"reload sshd") kill -HUP "$(cat /run/login/sshd.pid)" ;;
poweroff*) touch /run/power-off ;;
esac
""",
    "systemd-run": """#!/bin/sh
echo "systemd-run $*" >> /run/notes
while [ "${1#--}" != "$1" ]; do shift; done
setsid "$@" </dev/null >/run/deadman.out 2>&1 &
""",
    "runuser": """#!/bin/sh
shift 3
exec "$@"
""",
    "sudo": """#!/bin/sh
echo "sudo $*" >> /run/notes
shift
exec "$@"
""",
}


def main(configuration: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    cloud = yaml.safe_load(configuration["user_data"])
    _make_places(configuration)
    say("cloud-init starts")
    if configuration.get("fate") == "kernel panic":
        say("Kernel panic - not syncing: made up")
        return
    environment = {**os.environ, **configuration["environment"], "PATH": f"{STUBS}:{os.environ['PATH']}"}
    for command in cloud.get("bootcmd", []):
        _run(command, environment)
    keys = cloud["ssh_keys"]
    _write("/etc/ssh/ssh_host_ed25519_key", configuration.get("host_key") or keys["ed25519_private"], 0o600)
    _write("/etc/ssh/ssh_host_ed25519_key.pub", keys["ed25519_public"] + "\n", 0o644)
    _write("/run/login/authorized_keys", configuration["authorized_key"] + "\n", 0o600)
    variables = " ".join(
        f'"{name}={value}"' for name, value in {**configuration["environment"], "PATH": environment["PATH"]}.items()
    )
    _write(
        "/run/login/sshd_config",
        SSHD.format(address=configuration["address"], port=configuration["port"], environment=variables),
        0o600,
    )
    if configuration.get("fate") != "no sshd":
        subprocess.Popen([configuration["sshd"], "-D", "-e", "-f", "/run/login/sshd_config"], stdin=subprocess.DEVNULL)
        say("Started sshd")
    for file in cloud.get("write_files", []):
        _write(file["path"], file["content"], int(file["permissions"], 8))
    for command in cloud.get("runcmd", []):
        threading.Thread(target=_run, args=(command, environment), daemon=True).start()
    while not Path("/run/power-off").exists():
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.05)
    say("Power down")


def _end_with_the_tests() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def say(text: str) -> None:
    print(f"[console] {text}", flush=True)


def _make_places(configuration: dict[str, Any]) -> None:
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    if Path(configuration["file_system"]).is_dir():  # it may be below one of the places that are covered now
        Path("/run/file-system").mkdir()
        _mount("--bind", configuration["file_system"], "/run/file-system")
    for place in ("/etc/ssh", "/mnt"):
        _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", place)
    Path("/usr/local/lib/efsprov").mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/usr/local/lib/efsprov")
    for folder in ("/run/sshd", "/run/login", str(STUBS)):
        Path(folder).mkdir()
    NOTES.touch()
    if size := configuration.get("small_disk"):  # bytes for what a build keeps on the instance
        Path("/run/small").mkdir()
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", "/run/small")
    mount = subprocess.run(["sh", "-c", "command -v mount"], capture_output=True, text=True, check=True).stdout.strip()
    filled = {"{mount}": mount, "{file_system}": "/run/file-system", "{dnf}": configuration.get("dnf", "")}
    for name, text in PROGRAMS.items():
        whole = text
        for key, value in filled.items():
            whole = whole.replace(key, value)
        _write(str(STUBS / name), whole, 0o755)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL)


def _write(path: str, content: str, mode: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    Path(path).chmod(mode)


def _run(command: str | list[str], environment: dict[str, str]) -> None:
    words = ["sh", "-c", command] if isinstance(command, str) else command
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            say(line.rstrip())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
