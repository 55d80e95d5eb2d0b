"""Downloads one file over HTTP: resumed where it broke off, never spliced from two versions.

With urllib, since requests would undo the `Content-Encoding: gzip` with which some servers label a .tar.gz.
"""

import re
import shutil
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from leafdist.system import console, files, plain
from leafdist.system.arguments import extra

BUFFER = 1 << 20
SILENCE = 60  # seconds without a byte before a connection counts as broken
WAITS = (1, 2, 4, 8, 16)  # seconds before each further try while none brings anything
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
DRIVE = ("drive.google.com", "docs.google.com")


@dataclass(frozen=True)
class Notes:
    """What is partly here: its address, version (an ETag or a date) and length in bytes, as far as the server tells."""

    url: str = ""
    validator: str | None = None
    total: int | None = None


class BrokenOffError(Exception):
    """The transfer failed in a way that is worth another try."""


class Redirects(HTTPRedirectHandler):
    """Follows at most ten redirects, as urllib does, but none from https to an unprotected channel."""

    def redirect_request(  # noqa: PLR0917 - urllib's
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return the next request. Raises ValueError where it would not be protected."""
        if urlsplit(newurl).scheme not in {"https", req.type}:
            raise ValueError(
                f"{req.full_url} leads on to {newurl}, which is not protected. Fetch that address if you trust it"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, path: Path, say: Callable[[str], None]) -> None:
    """Download `url` to `path`, resuming an earlier call. Raises ValueError where that cannot succeed.

    `<path>.json` says whose beginning `<path>.part` is; it can only be resumed with an ETag or a date from the server.
    """
    known = _noted(path).url == url
    if not known:
        discard(path)
    if urlsplit(url).hostname in DRIVE:
        return None if known and path.exists() else _from_drive(url, path)
    most, failures = 0, 0
    while not path.exists():
        try:
            _transfer(url, path)
        except BrokenOffError as error:
            size = _size_of(_part(path))
            failures = 0 if size > most else failures + 1
            most = max(size, most)
            if failures > len(WAITS):
                raise ValueError(
                    f"{url}: {error}; {size} bytes are here. Run the same command again to resume"
                ) from error
            wait = WAITS[max(failures - 1, 0)]
            say(f"{url}: {error}; trying again in {wait} s, {size} bytes are here")
            time.sleep(wait)
    return None


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def discard(path: Path) -> None:
    """Remove a download and its notes."""
    for file in (path, _part(path), _notes(path)):
        file.unlink(missing_ok=True)


def _notes(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _noted(path: Path) -> Notes:
    """Read the notes, empty ones where there are none."""
    return plain.read(Notes, _notes(path)) if _notes(path).exists() else Notes()


def _size_of(path: Path) -> int:
    """Return the size in bytes, 0 for a file that does not exist."""
    return path.stat().st_size if path.exists() else 0


def _transfer(url: str, path: Path) -> None:
    """Try once, over one connection. Raises BrokenOffError."""
    known = _noted(path)
    have = _size_of(_part(path)) if known.validator else 0
    if have and have == known.total:  # killed between the last byte and the rename
        _part(path).replace(path)
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "leafdist"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": str(known.validator)}
    address = quote(url, safe=string.punctuation + " ")  # letters beyond ASCII; a blank is refused with its name
    with _connect(Request(address, headers=headers), path) as response:
        start, total = _extent(response, have)
        version = _validator(response.headers)
        if start and (version not in (None, known.validator) or known.total not in (None, total)):
            discard(path)
            raise BrokenOffError("the file has changed on the server")
        if not start:
            files.write_json(_notes(path), plain.to_plain(Notes(url, version, total)))
        with _part(path).open("r+b" if start else "wb") as file:
            file.seek(start)
            _receive(response, file, start, total)
    files.flush(_part(path))
    _part(path).replace(path)


def _connect(request: Request, path: Path) -> HTTPResponse:
    """Open a connection. Raises BrokenOffError, or ValueError where another try cannot help."""
    try:
        return build_opener(Redirects).open(request, timeout=SILENCE)  # type: ignore[no-any-return]
    except HTTPError as error:
        error.close()
        if error.code == 416:  # what is here is not the beginning of that file
            discard(path)
        if error.code in AGAIN or error.code == 416:
            raise BrokenOffError(f"the server answers {error.code} {error.reason}") from error
        answer = "its redirects lead nowhere" if error.code < 400 else f"the server answers {error.code}"
        reason = " ".join(error.reason.split())
        raise ValueError(f"{request.full_url}: {answer} ({reason}). Check the address") from error
    except InvalidURL as error:
        raise ValueError(f"{request.full_url}: {error}. Check the address") from error
    except (URLError, HTTPException, OSError) as error:
        raise BrokenOffError(f"no connection ({error})") from error


def _extent(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where the body starts, and the length of the file if the server tells. Raises BrokenOffError."""
    length = response.headers.get("Content-Length", "")
    if response.status == 200:  # the server ignores ranges, or the file has changed
        return 0, int(length) if length.isdigit() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not have or not found or int(found[1]) != have:
        raise BrokenOffError(f"the server answers {response.status} with another part of the file than was asked for")
    return have, int(found[2])


def _validator(headers: Message) -> str | None:
    """Return what identifies this version of the file: a strong ETag, or its date."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _receive(response: HTTPResponse, file: IO[bytes], start: int, total: int | None) -> None:
    """Write the body into `file` from byte `start`. Raises BrokenOffError where it ends early."""
    position = start
    with console.bar(total, "B", "downloading", start=start) as bar:
        while data := _read(response):
            file.write(data)
            position += len(data)
            bar.update(len(data))
    file.truncate()
    if total is not None and position != total:
        raise BrokenOffError(f"the connection ended after {position} of {total} bytes")


def _read(response: HTTPResponse) -> bytes:
    """Return the next bytes of the body, none at its end. Raises BrokenOffError."""
    try:
        return response.read1(BUFFER)
    except (HTTPException, OSError) as error:
        raise BrokenOffError(f"the connection broke ({type(error).__name__})") from error


def _from_drive(url: str, path: Path) -> None:
    """Download from Google Drive, which asks before it sends large files; gdown answers, and resumes."""
    try:
        import gdown
        from gdown.exceptions import DownloadError
        from requests.exceptions import RequestException
    except ImportError as error:
        raise ValueError(f"{url}: for Google Drive, {extra('drive')} first") from error
    whole = path.with_name("drive")
    if _noted(path).url != url:  # what is there belongs to another one
        for left in path.parent.glob("drive*"):
            left.unlink()
    files.write_json(_notes(path), plain.to_plain(Notes(url)))
    try:
        gdown.download(url=url, output=str(whole), resume=True, retries=len(WAITS), timeout=SILENCE, use_cookies=False)
    except (DownloadError, RequestException) as error:
        raise ValueError(f"{url}: {' '.join(str(error).split())}") from error
    shutil.move(whole, path)
