"""Tells whether a server answers, in bounded time."""

import ssl
import threading
import urllib.error
import urllib.request
from http.client import HTTPException

PROBE_SECONDS = 3.0


def unreachable(url: str) -> str | None:
    """Return why `url` does not answer over HTTP (through proxies if set) within 3 seconds; None if it answers."""
    answer: list[str | None] = []
    # In a thread, since no socket timeout bounds the lookup of a name.
    thread = threading.Thread(target=lambda: answer.append(_probe(url)), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0] if answer else f"{url} gave no answer within {PROBE_SECONDS:g} s"


def _probe(url: str) -> str | None:
    try:
        urllib.request.build_opener().open(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        return f"{url} answered {error.code}" if error.code == 407 or error.code >= 500 else None
    except (OSError, HTTPException, ValueError) as error:
        # W&B brings its own certificates, so one that Python does not trust still counts as an answer.
        untrusted = isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError)
        return None if untrusted else f"{url}: {reason_of(error)}"
    return None


def reason_of(error: Exception) -> str:
    """Return the first line of an error, with its type."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
