"""Sessions that talk to moto as a server, and what disturbs them at a moment that is chosen by requests, not by time."""

import contextlib
import socket
import threading

import boto3

from efsprov.aws.session import Aws
from efsprov.net.retry import Policy

QUICK = Policy("quick", attempts=6, seconds=30, first=0.01, longest=0.05)


def session(url: str, *, event: str = "", on_event=None) -> Aws:
    made = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1")
    return Aws(Endpoint(made, url, event, on_event), "us-east-1", QUICK)


class Endpoint:
    """A session whose clients talk to one address, and tell of an event of botocore's."""

    def __init__(self, session, url, event="", on_event=None):
        self._session, self._url, self._event, self._on_event = session, url, event, on_event

    def client(self, service, **options):
        client = self._session.client(service, endpoint_url=self._url, **options)
        if self._event:
            client.meta.events.register(self._event, self._on_event)
        return client


class Nth:
    """Does something when it is called for the n-th time, from whatever thread."""

    def __init__(self, n: int, do) -> None:
        self._left, self._do, self._lock = n, do, threading.Lock()

    def __call__(self, **_: object) -> None:
        with self._lock:
            self._left -= 1
            now = self._left == 0
        if now:
            self._do()


def before_range(url: str, n: int, do) -> Aws:
    """A session that does something right before the n-th range of an object is asked for."""
    return session(url, event="before-send.s3.GetObject", on_event=Nth(n, do))


def before_last_look(url: str, do) -> Aws:
    """A session that does something when all ranges are here, right before the object's checksum is asked for."""
    return session(url, event="before-send.s3.HeadObject", on_event=Nth(2, do))


class Cutting:
    """A relay to an address that cuts its first connections after some bytes of an answer."""

    def __init__(self, url: str, *, cuts: int, after: int) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._to, self._cuts, self._after = (host, int(port)), cuts, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, self._after), daemon=True).start()

    def _pump(self, source, target, limit) -> None:
        count = 0
        try:
            while data := source.recv(65536):
                target.sendall(data)
                count += len(data)
                if limit is not None and count > limit and self._cuts > 0:
                    self._cuts -= 1
                    break
        except OSError:
            pass
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def cuts_left(self) -> int:
        return self._cuts

    def close(self) -> None:
        self._listener.close()
