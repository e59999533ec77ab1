"""Hides credentials: the one place that decides what of a text may be shown or stored."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

HIDDEN: Final = "***"
# RFC 3986 ends the user information at the first "/"; people paste passwords that hold one, or a blank. A first part
# `name:` that is not followed by a port is taken for a user's name, and everything up to the last "@" for the password.
_LOGIN = re.compile(r"(?<=://)(?:[^/\s\"'`:@]+:(?!\d{1,5}(?:[/?#\s\"'`]|$))[^\n]*@|[^/\s\"'`]*@)")
_PARAMETER = re.compile(
    r"([?&][^=&#\s\"'`]*(?:token|key|secret|signature|password|credential|auth|sig)[^=&#\s\"'`]*=)[^&#\s\"'`]+",
    re.IGNORECASE,
)
_APART = re.compile(r"[\s/@]+")  # where those who split lists of URLs, or URLs, cut such a password
_SHORTEST: Final = 4  # of a secret that is looked for everywhere; shorter ones would hide parts of ordinary words


class Secrets:
    """The secrets that this process knows of, in every spelling; ``hide`` takes them out of a text."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, texts: Iterable[str]) -> None:
        """Remember the passwords in the URLs of ``texts``, and the words of those that blanks cut apart."""
        for text in texts:
            for login in _LOGIN.findall(text):
                self.add(login.removesuffix("@").partition(":")[2] or login.removesuffix("@"))

    def add(self, secret: str) -> None:
        """Remember one secret, as it is, quoted and unquoted."""
        words = [secret, unquote(secret), *_APART.split(secret), *_APART.split(unquote(secret))]
        self._known |= {form for word in words for form in (word, quote(word, safe="")) if len(form) >= _SHORTEST}

    def hide(self, text: str) -> str:
        """Return ``text`` without the known secrets and without what looks like credentials."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)  # part of it may pass for a host
        return _PARAMETER.sub(rf"\1{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))


SECRETS: Final = Secrets()
"""Those of this process: learned where settings and requirements are read, hidden wherever something is shown or stored."""


def mask(text: str) -> str:
    """Return ``text`` with every credential in it replaced by `***`: in URLs, and wherever a known secret stands."""
    return SECRETS.hide(text)
