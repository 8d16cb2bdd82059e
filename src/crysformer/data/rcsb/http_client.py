"""Requests to a public server: patient, and never faster than it was told."""

from __future__ import annotations

import email.utils
import errno
import http.client
import json
import logging
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from crysformer.errors import CrysformerError
from crysformer.settings import check_ranges, setting
from crysformer.version import __version__

log = logging.getLogger(__name__)

#: Statuses of a server that may answer later.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Statuses of a file that is not there, and will not be.
_GONE = frozenset({404, 410})


class Unreadable(CrysformerError):  # noqa: N818 (names what it is of)
    """An answer could not be had, in spite of all tries."""


class NotThere(Unreadable):
    """The server has no such file."""


class Damaged(ValueError):  # noqa: N818 (callers ask again)
    """An answer that is not what it should be; the message says why."""


@dataclass(frozen=True)
class HttpSettings:
    """Patience of requests.

    Raises
    ------
    UsageError
        If a value is out of its range.
    """

    tries: int = setting(6, "Tries of a request.", min=1, max=100)
    backoff: float = setting(
        1.0, "Wait before the second try, doubled for each further one.", unit="s", min=0.0
    )
    longest_wait: float = setting(120.0, "Longest wait before a try.", unit="s", min=0.0)
    timeout: float = setting(60.0, "Time without an answer.", unit="s", min=0.1)
    max_bytes: int = setting(512 * 2**20, "Largest answer that is read.", min=1)

    def __post_init__(self) -> None:
        check_ranges(self)


def user_agent() -> str:
    """Name and version of this package, with the address of its project where it states one."""
    try:
        urls = metadata.metadata("crysformer").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        urls = []
    address = urls[0].split(",")[-1].strip() if urls else ""
    return f"crysformer/{__version__}" + (f" (+{address})" if address else "")


class HttpClient:
    """Requests with retries: after refusals for load, lost connections and damaged answers.

    The wait between tries doubles each time, or is what the server says (``Retry-After``).
    """

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self._settings = settings or HttpSettings()
        self._reached: set[str] = set()

    def get(self, url: str, check: Callable[[bytes], None] | None = None) -> bytes:
        """Read a file.

        Parameters
        ----------
        url
            Its address.
        check
            Raises `Damaged` if the content is not what it should be; it is then read again.

        Raises
        ------
        NotThere
            If the server has no such file.
        Unreadable
            If it cannot be read.
        """
        return self._request(urllib.request.Request(url), check)

    def post_json(self, url: str, content: Any) -> dict[str, Any] | None:
        """Send JSON; return the JSON object of the answer, None if the answer is empty.

        Raises
        ------
        Unreadable
            As for `get`.
        """
        found: dict[str, Any] | None = None

        def parse(body: bytes) -> None:
            nonlocal found
            try:
                found = json.loads(body) if body.strip() else None
            except ValueError as error:
                raise Damaged(f"not JSON ({error})") from error
            if found is not None and not isinstance(found, dict):
                raise Damaged("not a JSON object")

        data = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._request(urllib.request.Request(url, data, headers, method="POST"), parse)
        return found

    def _request(
        self, request: urllib.request.Request, check: Callable[[bytes], None] | None
    ) -> bytes:
        request.add_header("User-Agent", user_agent())
        settings, problem = self._settings, ""
        for attempt in range(settings.tries):
            wait = min(settings.backoff * 2**attempt, settings.longest_wait)
            try:
                body = self._read(request)
                if check is not None:
                    check(body)
                return body
            except urllib.error.HTTPError as error:
                problem = f"status {error.code}, {error.reason}"
                if error.code in _GONE:
                    raise NotThere(f"{request.full_url}: {problem}") from error
                self._reached.add(request.host)
                if error.code not in _LATER:
                    raise _unreadable(request, f"{problem}{_words(error)}") from error
                wait = min(max(wait, _retry_after(error.headers)), settings.longest_wait)
            except Damaged as error:
                problem = str(error)
            except (OSError, http.client.HTTPException) as error:
                problem = _reason(error)
                if request.host not in self._reached and _no_network(error):
                    raise _unreadable(request, f"{problem}; is there a network?") from error
            if attempt + 1 == settings.tries:
                break
            log.debug("%s: %s; next try in %.1f s", request.full_url, problem, wait)
            time.sleep(wait)
        raise _unreadable(request, f"{problem}; tried {settings.tries} times")

    def _read(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=self._settings.timeout) as response:
            self._reached.add(request.host)
            body: bytes = response.read(self._settings.max_bytes + 1)
            expected = response.headers.get("Content-Length")
        if len(body) > self._settings.max_bytes:
            raise _unreadable(request, f"more than {self._settings.max_bytes} bytes")
        if expected is not None and expected.isdigit() and len(body) != int(expected):
            raise Damaged(f"cut off after {len(body)} of {expected} bytes")
        return body


def _unreadable(request: urllib.request.Request, problem: str) -> Unreadable:
    return Unreadable(f"{request.full_url}: cannot be read ({problem})")


def _words(error: urllib.error.HTTPError) -> str:
    """The message of a refusal in the JSON that the search of RCSB answers with."""
    try:
        message = json.loads(error.read(65536))["message"]
    except (ValueError, KeyError, TypeError, OSError):
        return ""
    return f": {' '.join(str(message).split())[:300]}"


def _retry_after(headers: Any) -> float:
    """Seconds that a server wants to be left alone; 0 if it does not say."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    return " ".join(str(inner).split()) or type(inner).__name__


def _no_network(error: Exception) -> bool:
    """True for failures that come before any server was reached."""
    inner = getattr(error, "reason", error)
    return isinstance(inner, (socket.gaierror, ConnectionRefusedError)) or (
        isinstance(inner, OSError) and inner.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    )
