"""Fetching from a real HTTP server that drops, ignores, lies and redirects; and from processes that are killed."""

import hashlib
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.prepare import download
from leafdist.prepare.fetch import fetch
from leafdist.system import locks
from tests.helpers.files import PHOTOS, tar, tree
from tests.helpers.http_site import Site, serving
from tests.helpers.paths import REPO

BIG = {"leaf/big/0.jpg": os.urandom(3 << 20)}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(download, "WAITS", (0.01, 0.01, 0.01))
    site = Site(tar())
    with serving(site):
        yield site


def silent(line: str) -> None:
    pass


def photos_of(dest: Path) -> dict[str, bytes]:
    found = tree(dest)
    assert "fetch.json" in found
    return {name: content for name, content in found.items() if name != "fetch.json"}


def test_file_arrives_with_checksum_alone(site: Site, tmp_path: Path) -> None:
    record = fetch(site.url, tmp_path / "data", say=silent)
    assert record.sha256 == hashlib.sha256(site.content).hexdigest()
    assert photos_of(tmp_path / "data") == PHOTOS
    assert os.listdir(tmp_path) == ["data"]  # noqa: PTH208
    assert fetch(site.url, tmp_path / "data", say=silent) == record
    assert len(site.asked) == 1


def test_dropped_connection_is_resumed(site: Site, tmp_path: Path) -> None:
    site.cuts = [5000, 4000, 1]
    fetch(site.url, tmp_path / "data", say=silent)
    assert site.asked == [None, "bytes=5000-", "bytes=9000-", "bytes=9001-"]
    assert photos_of(tmp_path / "data") == PHOTOS


@pytest.mark.parametrize(
    ("change", "second"),
    [({"ranges": False}, "bytes=5000-"), ({"version": None}, None), ({"version": 'W/"weak"'}, None)],
)
def test_no_ranges_or_version_starts_over(
    change: dict[str, object], second: str | None, site: Site, tmp_path: Path
) -> None:
    vars(site).update(change)
    site.cuts = [5000, 7000]
    fetch(site.url, tmp_path / "data", say=silent)
    assert site.asked[1] == second
    assert len(site.asked) == 3
    assert photos_of(tmp_path / "data") == PHOTOS


@pytest.mark.parametrize("heeding", [True, False])
def test_two_versions_are_never_spliced(heeding: bool, site: Site, tmp_path: Path) -> None:
    site.cuts = [5000, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"5000 bytes are here\. Run the same command again"):
        fetch(site.url, tmp_path / "data", say=silent)
    new = {name: content[::-1] for name, content in PHOTOS.items()}
    site.content, site.version, site.heeding = tar(photos=new), '"two"', heeding
    fetch(site.url, tmp_path / "data", say=silent)
    assert photos_of(tmp_path / "data") == new


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"longer": 1000}, "ended after 30720 of 31720 bytes"),
        ({"longer": -9000}, "damaged or cut short"),
        ({"shift": 7, "cuts": [5000]}, "another part of the file"),
        ({"cuts": [5000, 0, 0, 0, 0, 0, 0]}, "ended after 5000 of"),
        ({"statuses": [404]}, "answers 404"),
        ({"statuses": [503] * 9}, "answers 503"),
        ({"target": "/loop"}, "redirects lead nowhere.*loop"),
        ({"target": "file:///etc/passwd"}, "redirects lead nowhere"),
        ({"target": "ftp://127.0.0.1/x"}, "not protected"),
        ({"content": b"<!DOCTYPE html><p>Sign in"}, "web page"),
    ],
)
def test_lying_or_refusing_server_is_explained(
    lie: dict[str, object], message: str, site: Site, tmp_path: Path
) -> None:
    vars(site).update(lie)
    with pytest.raises(ValueError, match=message):
        fetch(site.url, tmp_path / "data", say=silent)
    assert not (tmp_path / "data").exists()
    assert len(site.asked) <= 12


def test_transient_errors_retry_and_redirects_follow(site: Site, tmp_path: Path) -> None:
    site.statuses, site.target = [503, 429], "/end"
    fetch(site.url, tmp_path / "data", say=silent)
    assert photos_of(tmp_path / "data") == PHOTOS


def test_wrong_checksum_keeps_nothing(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not 0{64}: damaged or another version"):
        fetch(site.url, tmp_path / "data", "0" * 64, say=silent)
    assert not (tmp_path / "data").exists()
    assert tree(tmp_path / ".data.fetch") == {}
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        fetch(site.url, tmp_path / "data", "abc", say=silent)
    digest = hashlib.sha256(site.content).hexdigest()
    assert fetch(site.url, tmp_path / "data", digest.upper(), say=silent).sha256 == digest
    with pytest.raises(ValueError, match="exists and holds"):
        fetch(site.url, tmp_path / "data", "0" * 64, say=silent)


def test_damaged_download_is_not_reused(site: Site, tmp_path: Path) -> None:
    whole, site.content = site.content, site.content[:9000]
    with pytest.raises(ValueError, match="cut short"):
        fetch(site.url, tmp_path / "data", say=silent)
    site.content = whole
    fetch(site.url, tmp_path / "data", say=silent)
    assert photos_of(tmp_path / "data") == PHOTOS


def test_foreign_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("precious")
    (tmp_path / "a.tar").write_bytes(tar())
    assert main(["fetch", str(tmp_path / "a.tar"), str(tmp_path / "data")]) == 2
    assert "exists and holds something else" in capsys.readouterr().err
    assert tree(tmp_path / "data") == {"mine": b"precious"}


@pytest.mark.parametrize("source", ["absent.tar", "ftp://host/a.tar", "http://127.0.0.1:9/a b"])
def test_impossible_source_is_named(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(source)):
        fetch(source, tmp_path / "data", say=silent)


def test_finished_folder_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").write_bytes(tar())
    record = fetch(str(tmp_path / "a.tar"), tmp_path / "data", say=silent)
    monkeypatch.setattr(locks, "alone", lambda *_: pytest.fail("whoever may only read cannot lock"))
    assert fetch(str(tmp_path / "a.tar"), tmp_path / "data", say=silent) == record


def test_a_read_only_place_is_named(tmp_path: Path) -> None:
    """Root may write everywhere, so the capability to do so is dropped first."""
    (tmp_path / "a.tar").write_bytes(tar())
    (tmp_path / "shut").mkdir(mode=0o555)
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    places = map(str, (tmp_path / "a.tar", tmp_path / "shut" / "data"))
    command = [*drop, sys.executable, "-m", "leafdist", "fetch", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPO)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_full_disk_is_named_and_unchanged(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(photos=BIG))
    with pytest.raises(ValueError, match="No space left on device"):
        fetch(str(tmp_path / "a.tar"), small_disk / "data", say=silent)
    assert tree(small_disk) == {".data.fetch.lock": b""}


def test_google_drive_is_asked_through_gdown(tmp_path: Path) -> None:
    """A stand-in with a certificate for Google's name, behind a proxy on loopback."""
    pytest.importorskip("gdown")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl += ["-subj", "/CN=drive.google.com"]
    openssl += ["-addext", "subjectAltName=DNS:drive.google.com", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(openssl, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    drive, proxy = Site(tar(photos=BIG), disposition='attachment; filename="leaf.tar"'), Site()
    with serving(drive, context) as server, serving(proxy, to=("127.0.0.1", server.server_port)):
        address = "https://drive.google.com/file/d/1AbCdEfGhIjKlMnOpQrStUvWxYz0123456/view?usp=sharing"
        variables = {"HTTPS_PROXY": proxy.url.removesuffix("/archive"), "REQUESTS_CA_BUNDLE": str(certificate)}
        variables |= {"HOME": str(tmp_path), "NO_PROXY": ""}
        drive.url, drive.cuts = address, [2 << 20]
        assert fetching(drive, tmp_path / "data", **variables).wait() == 0
    assert photos_of(tmp_path / "data") == BIG
    first, second = drive.asked
    assert first is None
    assert int(str(second).strip("bytes=-")) > 1 << 20


def fetching(site: Site, dest: Path, **variables: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "leafdist", "fetch", site.url, str(dest)]
    return subprocess.Popen(command, cwd=REPO, env=os.environ | variables, stderr=subprocess.DEVNULL)


def wait_for(path: Path, size: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None and not (path.exists() and path.stat().st_size >= size):
        time.sleep(0.005)


def test_killed_while_downloading_it_goes_on(site: Site, tmp_path: Path) -> None:
    site.content, site.pause = tar(photos=BIG), 0.02
    process = fetching(site, tmp_path / "data")
    wait_for(tmp_path / ".data.fetch" / "archive.part", 1 << 20, process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    site.pause = 0
    fetch(site.url, tmp_path / "data", say=silent)
    first, second = site.asked
    assert first is None
    assert int(str(second).strip("bytes=-")) >= 1 << 20
    assert photos_of(tmp_path / "data") == BIG


def test_killed_unpacking_needs_no_second_download(site: Site, tmp_path: Path) -> None:
    site.content = tar(photos={f"leaf/many/{number}.jpg": b"x" for number in range(4000)})
    process = fetching(site, tmp_path / "data")
    wait_for(tmp_path / ".data.partial" / "leaf" / "many", 1, process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "data").exists()
    assert (tmp_path / ".data.partial").exists()
    assert fetch(site.url, tmp_path / "data", say=silent).files == 4000
    assert len(site.asked) == 1
    assert os.listdir(tmp_path) == ["data"]  # noqa: PTH208


def test_two_at_once_make_one(site: Site, tmp_path: Path) -> None:
    site.content, site.pause = tar(photos=BIG), 0.005
    processes = [fetching(site, tmp_path / "data") for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(site.asked) == 1
    assert photos_of(tmp_path / "data") == BIG
