"""One file over HTTP, whatever happens on the way: resumed where it broke off, never spliced from two versions.

urllib, not requests: it needs no package, and does not undo a `Content-Encoding: gzip`, as servers label a .tar.gz.
"""

import re
import shutil
import time
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from leafdist.system import console, files

BUFFER = 1 << 20
SILENCE = 60  # seconds without a byte before a connection counts as broken
WAITS = (1, 2, 4, 8, 16)  # seconds before each new try that brings nothing new
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
DRIVE = ("drive.google.com", "docs.google.com")


class BrokenOffError(Exception):
    """Worth another try."""


class Redirects(HTTPRedirectHandler):
    """As urllib follows them, at most ten, but never from https to a channel that anybody can write to."""

    def redirect_request(  # noqa: PLR0917 - urllib's
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in {"https", req.type}:
            raise ValueError(f"{req.full_url} leads on to {newurl}, which is not protected. Fetch that one by name")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, path: Path, say: Callable[[str], None]) -> None:
    """Download `url` to `path`; what an earlier call left is continued. Raises ValueError where that cannot succeed.

    `<path>.json` says whose beginning `<path>.part` is; only with an ETag or a date from the server can it go on.
    """
    known = noted(path).get("url") == url
    if urlsplit(url).hostname in DRIVE:
        return None if known and path.exists() else from_drive(url, path)
    if not known:
        discard(path)
    most, failures = 0, 0
    while not path.exists():
        try:
            transfer(url, path)
        except BrokenOffError as error:
            size = size_of(part(path))
            failures = 0 if size > most else failures + 1
            most = max(size, most)
            if failures > len(WAITS):
                raise ValueError(f"{url}: {error}; {size} bytes are here. Run the same again to go on") from error
            wait = WAITS[max(failures - 1, 0)]
            say(f"{url}: {error}; trying again in {wait} s, {size} bytes are here")
            time.sleep(wait)
    return None


def part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def discard(path: Path) -> None:
    """A download and what was noted of it."""
    for file in (path, part(path), notes(path)):
        file.unlink(missing_ok=True)


def notes(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def noted(path: Path) -> dict[str, Any]:
    """Address, version and length of what is here in part."""
    return dict(files.read_json(notes(path))) if notes(path).exists() else {}


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def transfer(url: str, path: Path) -> None:
    """One connection. Raises BrokenOffError."""
    known = noted(path)
    have = size_of(part(path)) if known.get("validator") else 0
    if have and have == known["total"]:  # ended between the last byte and its place
        part(path).replace(path)
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "leafdist"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
    with connect(Request(url, headers=headers), path) as response:
        start, total = place(response, have)
        version = validator(response.headers)
        if start and (version not in (None, known["validator"]) or total != known["total"]):
            discard(path)
            raise BrokenOffError("the file has changed on the server")
        if not start:
            files.write_json(notes(path), {"url": url, "validator": version, "total": total})
        with part(path).open("r+b" if start else "wb") as file:
            file.seek(start)
            receive(response, file, start, total)
    files.flush(part(path))
    part(path).replace(path)


def connect(request: Request, path: Path) -> HTTPResponse:
    """Raises ValueError where no new try can help."""
    try:
        return build_opener(Redirects).open(request, timeout=SILENCE)  # type: ignore[no-any-return]
    except HTTPError as error:
        error.close()
        if error.code == 416:  # what is here is no beginning of what is there
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


def place(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the body starts, and the length of the whole file where the server tells. Raises BrokenOffError."""
    length = response.headers.get("Content-Length", "")
    if response.status == 200:  # ranges are ignored, or the file is another one
        return 0, int(length) if length.isdigit() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not have or not found or int(found[1]) != have:
        raise BrokenOffError(f"the server answers {response.status} with another part of the file than was asked for")
    return have, int(found[2])


def validator(headers: Message) -> str | None:
    """What names this version of the file: a strong ETag, or its date."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def receive(response: HTTPResponse, file: IO[bytes], start: int, total: int | None) -> None:
    """Raises BrokenOffError where the body ends early."""
    at = start
    with console.bar(total, "B", "downloading", start=start) as bar:
        while data := read(response):
            file.write(data)
            at += len(data)
            bar.update(len(data))
    file.truncate()
    if total is not None and at != total:
        raise BrokenOffError(f"the connection ended after {at} of {total} bytes")


def read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(BUFFER)
    except (HTTPException, OSError) as error:
        raise BrokenOffError(f"the connection broke ({type(error).__name__})") from error


def from_drive(url: str, path: Path) -> None:
    """Google Drive asks before it hands out large files; gdown knows how to answer, and resumes too."""
    try:
        import gdown
        from gdown.exceptions import DownloadError
        from requests.exceptions import RequestException
    except ImportError as error:
        raise ValueError(f"{url}: for Google Drive, pip install 'leafdist[drive]' first") from error
    whole = path.with_name("drive")
    if noted(path).get("url") != url:  # what lies there is of another one
        for left in path.parent.glob("drive*"):
            left.unlink()
    files.write_json(notes(path), {"url": url})
    try:
        gdown.download(url=url, output=str(whole), resume=True, retries=len(WAITS), timeout=SILENCE, use_cookies=False)
    except (DownloadError, RequestException) as error:
        raise ValueError(f"{url}: {' '.join(str(error).split())}") from error
    shutil.move(whole, path)
