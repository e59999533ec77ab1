import errno
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import paramiko
import pytest

from devtools.nfs_lab import (
    EXPORT,
    MOUNT_OPTIONS,
    BootError,
    Fault,
    Guest,
    GuestDiedError,
    LabError,
    LabTimeoutError,
    require_host_server,
    require_link,
    run_once,
)
from devtools.nfs_lab.fixtures import nfs_guest, no_guest, shared_guest

__all__ = ["nfs_guest", "no_guest", "shared_guest"]
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def shell(guest: Guest, where, script: str):
    return guest.run(where, ["/bin/bash", "-c", f'cd "$MOUNT" && {script}'])


def python(guest: Guest, where, code: str) -> str:
    """Run Python code in the mount and return what it printed; an OSError of it is printed as its name."""
    program = (
        "import errno, os, sys, time\nos.chdir(os.environ['MOUNT'])\n"
        f"try:\n    {code}\nexcept OSError as error:\n    print(errno.errorcode[error.errno])\n"
    )
    return guest.run(where, [sys.executable, "-BES", "-c", program]).checked().stdout.strip()


class TestClients:
    def test_what_one_writes_the_other_and_the_server_read(self, nfs_guest):
        shell(nfs_guest, "a", "mkdir folder && echo hello > folder/file").checked()
        assert shell(nfs_guest, "b", "cat folder/file").checked().stdout == "hello\n"
        assert shell(nfs_guest, "server", "cat folder/file").checked().stdout == "hello\n"

    def test_are_linux_nfs_4_1_with_the_options_that_aws_asks_for(self, nfs_guest):
        mounts = nfs_guest.run("a", ["cat", "/proc/mounts"]).stdout
        (options,) = [line.split()[3] for line in mounts.splitlines() if " /mnt/a nfs4 " in line]
        assert {"rw", "vers=4.1", "rsize=1048576", "wsize=1048576", "hard", "timeo=600", "retrans=2", "noresvport"} <= {
            *options.split(",")
        }

    def test_have_namespaces_of_their_own(self, nfs_guest):
        addresses = [nfs_guest.run(where, ["ip", "-o", "-4", "addr"]).stdout for where in ("a", "b")]
        assert "10.0.0.2/24" in addresses[0]
        assert "10.0.1.2/24" not in addresses[0]
        assert "10.0.1.2/24" in addresses[1]

    def test_a_read_only_mount_refuses_to_write_and_reads(self, nfs_guest):
        shell(nfs_guest, "b", "echo there > file").checked()
        nfs_guest.remount("a", f"{MOUNT_OPTIONS},ro")
        assert python(nfs_guest, "a", "open('new', 'w')") == "EROFS"
        assert python(nfs_guest, "a", "print(open('file').read())") == "there"


class TestPrograms:
    def test_give_back_output_errors_and_exit_code(self, nfs_guest):
        done = nfs_guest.run(
            "a", ["sh", "-c", "cat; echo $WORD; echo oops >&2; exit 3"], input="in ", env={"WORD": "out"}
        )
        assert (done.stdout, done.stderr, done.code) == ("in out\n", "oops\n", 3)
        with pytest.raises(LabError, match="exited with 3"):
            done.checked()

    def test_may_have_arguments_and_variables_longer_than_the_serial_line_holds(self, nfs_guest):
        word = "".join(map(str, range(20_000)))
        done = nfs_guest.run("b", ["sh", "-c", 'echo "$0$LONG"', word], env={"LONG": word})
        assert done.stdout == f"{word}{word}\n"

    def test_can_be_talked_to_while_they_run(self, nfs_guest):
        process = nfs_guest.start("b", ["cat"])
        process.write("one\n")
        process.wait_for("one")
        assert process.poll() is None
        process.close_input()
        assert process.wait().code == 0

    def test_can_be_killed_with_their_children(self, nfs_guest):
        process = nfs_guest.start("a", ["bash", "-c", "sleep 1000 & echo $!; wait"])
        child = process.wait_for("\n").strip()
        process.kill()
        assert process.wait().code == -signal.SIGKILL
        assert nfs_guest.run("server", ["kill", "-0", child]).code != 0

    def test_that_take_too_long_are_killed(self, nfs_guest):
        with pytest.raises(LabTimeoutError, match="sleep 1000"):
            nfs_guest.run("a", ["sleep", "1000"], timeout=0.5)
        assert nfs_guest.run("server", ["pgrep", "-x", "sleep"]).stdout == ""

    def test_that_do_not_exist_are_reported(self, nfs_guest):
        with pytest.raises(LabError, match="no-such-program"):
            nfs_guest.run("a", ["no-such-program"])

    def test_left_behind_by_a_test_are_gone_after_the_reset(self, nfs_guest):
        shell(nfs_guest, "a", "touch file; setsid sleep 1000 > /dev/null 2>&1 &").checked()
        nfs_guest.reset()
        assert nfs_guest.run("server", ["pgrep", "-x", "sleep"]).stdout == ""
        assert shell(nfs_guest, "b", "ls").stdout == ""


class TestCounters:
    def test_count_by_operation(self, nfs_guest):
        before = nfs_guest.rpcs("a")
        shell(nfs_guest, "a", "for i in {1..30}; do echo 123456789 > $i; done").checked()
        spent = nfs_guest.rpcs("a") - before
        assert (spent.ops["OPEN"], spent.ops["CLOSE"], spent.ops["WRITE"]) == (30, 30, 30)
        assert spent.write_bytes == 300
        assert spent.total == sum(spent.ops.values()) >= 90

    def test_are_a_client_s_own(self, nfs_guest):
        before = nfs_guest.rpcs("b")
        shell(nfs_guest, "a", "touch file").checked()
        assert (nfs_guest.rpcs("b") - before).total == 0

    @pytest.mark.parametrize("cool", ["remount", "drop_caches"])
    def test_show_a_warm_and_a_cold_cache(self, nfs_guest, cool):
        shell(nfs_guest, "b", "head -c 3000000 /dev/urandom > file").checked()
        read = "cat file > /dev/null"
        shell(nfs_guest, "a", read).checked()
        warm = nfs_guest.rpcs("a")
        shell(nfs_guest, "a", read).checked()
        assert (nfs_guest.rpcs("a") - warm).read_bytes == 0
        if cool == "remount":
            nfs_guest.remount("a")
        else:
            nfs_guest.drop_caches()
        cold = nfs_guest.rpcs("a")
        shell(nfs_guest, "a", read).checked()
        assert (nfs_guest.rpcs("a") - cold).read_bytes == 3_000_000


def test_the_delay_lengthens_each_round_trip(nfs_guest):
    # the quickest of ten tells the link's time from that of a busy machine
    code = (
        "times = []\n    for _ in range(10):\n        start = time.monotonic(); [os.statvfs('.') for _ in range(4)]\n"
        "        times.append(time.monotonic() - start)\n    print(min(times))"
    )
    seconds = {}
    for milliseconds in (0, 10, 20):
        nfs_guest.set_delay(milliseconds)
        seconds[milliseconds] = float(python(nfs_guest, "a", code))
    assert seconds[10] > 3 * seconds[0]
    assert 1.5 < seconds[20] / seconds[10] < 2.5
    nfs_guest.set_delay(0)
    assert float(python(nfs_guest, "b", code)) < seconds[10] / 3


class TestNetworkFaults:
    def test_a_partitioned_client_waits_until_the_link_is_healed_and_the_other_works(self, nfs_guest):
        nfs_guest.partition("a")
        waiting = nfs_guest.start("a", ["touch", "/mnt/a/late"])
        shell(nfs_guest, "b", "touch early").checked()
        assert shell(nfs_guest, "server", "ls").stdout == "early\n"
        assert waiting.poll() is None
        nfs_guest.heal("a")
        assert waiting.wait().code == 0
        assert shell(nfs_guest, "b", "ls").stdout == "early\nlate\n"

    def test_a_cut_connection_is_made_again_and_nobody_notices(self, nfs_guest):
        process = nfs_guest.start(
            "a", ["bash", "-c", "cd $MOUNT; while read -r name; do echo x > $name; echo done $name; done"]
        )
        process.write("one\n")
        process.wait_for("done one")
        before = nfs_guest.rpcs("a")
        assert nfs_guest.cut("a") == 1
        process.write("two\n")
        process.wait_for("done two")
        process.close_input()
        assert process.wait().stderr == ""
        assert (nfs_guest.rpcs("a") - before).connects > 0


class TestServerFaults:
    def test_a_dead_server_is_waited_for(self, nfs_guest):
        nfs_guest.kill_server()
        waiting = nfs_guest.start("a", ["touch", "/mnt/a/file"])
        nfs_guest.start_server()
        nfs_guest.await_server()
        assert waiting.wait().code == 0
        assert shell(nfs_guest, "b", "ls").stdout == "file\n"

    @pytest.mark.parametrize(
        ("operation", "code", "reported", "left"),
        [
            ("RENAME", "os.rename('old', 'new')", "ENOENT", ["new"]),
            ("LINK", "os.link('old', 'new')", "EEXIST", ["new", "old"]),
            ("SYMLINK", "os.symlink('old', 'new')", "EEXIST", ["new", "old"]),
            ("MKDIR", "os.mkdir('new')", "EEXIST", ["new", "old"]),
            ("REMOVE", "os.unlink('old')", "ENOENT", []),
            # RFC 8881, 18.16.3: the server keeps the verifier of an exclusive create, and knows the repeated one by it
            ("OPEN", "os.open('new', os.O_CREAT | os.O_EXCL); print('done')", "done", ["new", "old"]),
        ],
    )
    def test_an_operation_whose_reply_died_with_the_server_happened_and_is_reported_so(
        self, nfs_guest, operation, code, reported, left
    ):
        shell(nfs_guest, "a", "touch old").checked()
        nfs_guest.restart_server(Fault(operation))
        deaths = nfs_guest.server_deaths()
        assert python(nfs_guest, "a", code) == reported
        assert nfs_guest.server_deaths() == deaths + 1
        assert shell(nfs_guest, "b", "ls").stdout.split() == left

    def test_an_operation_that_died_before_it_was_executed_is_repeated(self, nfs_guest):
        shell(nfs_guest, "a", "touch old").checked()
        nfs_guest.restart_server(Fault("RENAME", "die-before"))
        deaths = nfs_guest.server_deaths()
        assert python(nfs_guest, "a", "os.rename('old', 'new'); print('done')") == "done"
        assert nfs_guest.server_deaths() == deaths + 1

    def test_a_reply_that_is_cut_off_is_repeated_by_the_server_that_lives(self, nfs_guest):
        shell(nfs_guest, "a", "touch old other").checked()
        nfs_guest.restart_server(Fault("RENAME", "cut-after", nth=2))
        deaths, before = nfs_guest.server_deaths(), nfs_guest.rpcs("a")
        assert python(nfs_guest, "a", "os.rename('old', 'one'); os.rename('other', 'two'); print('done')") == "done"
        assert (nfs_guest.rpcs("a") - before).connects > 0
        assert nfs_guest.server_deaths() == deaths

    def test_the_server_can_report_any_error(self, nfs_guest):
        nfs_guest.restart_server(Fault("WRITE", "errno", error=errno.ENOSPC, count=1000))
        code = "file = os.open('file', os.O_CREAT | os.O_WRONLY); os.write(file, b'x'); os.fsync(file)"
        assert python(nfs_guest, "a", code) == "ENOSPC"

    def test_are_over_after_the_reset(self, nfs_guest):
        nfs_guest.restart_server(Fault("MKDIR", "errno", error=errno.EDQUOT, count=1000))
        assert python(nfs_guest, "a", "os.mkdir('folder')") == "EDQUOT"
        nfs_guest.reset()
        assert python(nfs_guest, "a", "os.mkdir('folder'); print('done')") == "done"


class TestNetwork:
    @pytest.fixture(autouse=True)
    def link(self):
        require_link()

    @pytest.fixture
    def keys(self, tmp_path):
        for name in ("host", "user"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
            subprocess.run(argv, check=True)
        return tmp_path

    def test_a_host_with_the_mounts_is_reached_over_ssh_until_it_is_cut(self, nfs_guest, keys):
        sshd = nfs_guest.start_sshd((keys / "host").read_text(), (keys / "user.pub").read_text())
        with paramiko.SSHClient() as client:
            host_key = paramiko.PKey.from_path(keys / "host")
            client.get_host_keys().add(f"[127.0.0.1]:{sshd.port}", host_key.get_name(), host_key)
            client.connect("127.0.0.1", sshd.port, "ec2-user", key_filename=str(keys / "user"), look_for_keys=False)
            _, stdout, _ = client.exec_command(
                "id -u; pwd; stat -f -c %T $A; touch $A/file; cat /mnt/b/file $EXPORT/file"
            )
            assert stdout.read().decode() == "0\n/mnt/scratch/home\nnfs\n"
            data = os.urandom(3_000_000)
            stdin, stdout, _ = client.exec_command("cat")
            stdin.write(data)
            stdin.channel.shutdown_write()
            assert stdout.read() == data
            assert sshd.cut() == 1
            client.get_transport().join(30)
            assert not client.get_transport().is_active()

    def test_a_service_of_the_host_is_reached_from_the_guest(self, nfs_guest, tmp_path):
        (tmp_path / "index.html").write_text("hello from the host")

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=tmp_path)

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            address, port = nfs_guest.expose(server.server_port)
            code = f"import urllib.request as r; print(r.urlopen('http://{address}:{port}/').read().decode())"
            assert (
                nfs_guest.run("server", [sys.executable, "-BES", "-c", code]).checked().stdout
                == "hello from the host\n"
            )


class TestServerOnTheHost:
    @pytest.fixture
    def guest(self, no_guest, tmp_path):
        require_host_server()
        (tmp_path / "seed").mkdir()
        (tmp_path / "seed" / "old").write_text("seeded")
        (tmp_path / "linked").symlink_to("seed")
        with Guest(server_on="host", seed=tmp_path / "linked", memory_mb=512, disk_gb=1) as guest:
            yield guest
        assert (tmp_path / "seed" / "old").exists()

    def test_serves_both_clients_and_no_fault_befalls_it(self, guest):
        assert guest.run("a", ["cat", "/mnt/a/old", f"{EXPORT}/old"]).checked().stdout == "seededseeded"
        shell(guest, "a", "echo new > file").checked()
        assert guest.run("b", ["cat", "/mnt/b/file"]).checked().stdout == "new\n"
        assert guest.rpcs("a").ops["OPEN"] == 2
        ask = "t = time.monotonic(); [os.statvfs('.') for _ in range(20)]; print((time.monotonic() - t) / 20)"
        without = float(python(guest, "a", ask))
        guest.set_delay(20)
        assert 0.02 <= float(python(guest, "a", ask)) < without + 0.04
        for harm in (guest.kill_server, guest.restart_server, lambda: guest.partition("a"), lambda: guest.cut("b")):
            with pytest.raises(LabError, match="server_on='guest'"):
                harm()
        assert guest.rpcs("a").ops["CREATE_SESSION"] == guest.rpcs("b").ops["CREATE_SESSION"] == 1
        guest.reset()
        assert shell(guest, "b", "ls -A").checked().stdout == ""


class TestOneShot:
    def test_runs_a_script_with_the_lab_s_commands_in_a_guest_of_its_own(self, no_guest, tmp_path):
        seed = tmp_path / "seed"
        seed.mkdir()
        (seed / "old").write_text("seeded")
        script = tmp_path / "script.sh"
        script.write_text(
            "set -e; cat $A/old; on_a touch $A/new; remount b; on_b ls $B > /dev/null; rpcs b > $RESULTS/ls.json\n"
            "delay 2; partition a; heal a; cut b; drop_caches; restart_server; ls $EXPORT; exit 7\n"
        )
        outcome = run_once(script, seed=seed, delay_ms=1, memory_mb=1024, disk_gb=1, keep_results=tmp_path / "kept")
        assert outcome.completed.stdout == "seedednew\nold\n"
        assert (outcome.completed.code, outcome.completed.stderr) == (7, "")
        assert outcome.results["ls"]["ops"]["READDIR"] == 1
        assert json.loads((tmp_path / "kept" / "ls.json").read_text()) == outcome.results["ls"]
        assert outcome.rpcs["a"].ops["OPEN"] >= 1

    def test_the_command_prints_output_and_rpcs(self, no_guest, tmp_path):
        (tmp_path / "old").write_text("seeded")
        argv = [
            sys.executable,
            "-m",
            "devtools.nfs_lab",
            "--json",
            "--seed",
            str(tmp_path),
            "--memory",
            "1024",
            "--disk",
            "1",
        ]
        argv += ["--then-b", "cat new; exit 4", "cat old; echo written > new"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        document = json.loads(done.stdout)
        assert done.returncode == 4
        assert document["a"]["stdout"] == "seeded"
        assert (document["a"]["rpcs"]["write_bytes"], document["a"]["rpcs"]["read_bytes"]) == (8, 6)
        assert (document["b"]["stdout"], document["b"]["code"]) == ("written\n", 4)


class TestEnd:
    def test_a_guest_that_cannot_boot_says_why(self, no_guest):
        with (
            pytest.raises(BootError, match="no-such-option"),
            Guest(mount_options="nfsvers=4.1,no-such-option", memory_mb=512, disk_gb=1),
        ):
            pytest.fail("it booted")
        with pytest.raises(BootError, match="no-such-folder"), Guest(seed="/no-such-folder", disk_gb=1):
            pytest.fail("it booted")

    def test_a_guest_that_dies_says_so_to_all_who_wait(self, nfs_guest, shared_guest):
        waiting = nfs_guest.start("b", ["sleep", "1000"])
        with pytest.raises(GuestDiedError, match="reboot: "):
            nfs_guest.run("server", ["sh", "-c", "echo o > /proc/sysrq-trigger; sleep 1000"])
        with pytest.raises(GuestDiedError):
            waiting.wait()
        with pytest.raises(GuestDiedError):
            nfs_guest.rpcs("a")
        assert shared_guest.get().rpcs("a").total > 0

    def test_there_is_one_place_for_a_guest(self, nfs_guest):
        with pytest.raises(LabError, match="has a guest already"), Guest():
            pytest.fail("it booted")

    @pytest.mark.parametrize("server_on", ["guest", "host"])
    @pytest.mark.parametrize("end", ["orderly", "killed"])
    def test_nothing_is_left(self, no_guest, tmp_path, end, server_on):
        if server_on == "host":
            require_host_server()
        program = (
            "import sys, time\nfrom devtools.nfs_lab import Guest\n"
            f"with Guest(memory_mb=512, disk_gb=1, server_on={server_on!r}) as guest:\n"
            "    guest.start('a', ['sleep', '1000'])\n"
            "    print(guest.results.parent, flush=True)\n"
            "    sys.stdin.readline()\n"
        )
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        host = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        with host:
            folder = Path(host.stdout.readline().strip())
            assert folder.parent == tmp_path
            assert _processes_that_mention(folder)
            if end == "killed":
                host.kill()
            else:
                host.stdin.write("\n")
        assert wait_until(lambda: not _processes_that_mention(folder))
        assert wait_until(lambda: not folder.exists())


def _processes_that_mention(folder: Path) -> list[str]:
    return [entry.name for entry in Path("/proc").glob("[0-9]*") if str(folder) in _command_line(entry)]


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def wait_until(condition) -> bool:
    for _ in range(600):
        if condition():
            return True
        threading.Event().wait(0.05)
    return False
