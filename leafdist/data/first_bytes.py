"""Tells by its first bytes what a file is: a photo and of which format, or what lies there instead of one."""

import re

HEAD = 512  # bytes, enough for everything here

READ = {
    "JPEG": rb"\xff\xd8\xff",  # also MPO: several JPEGs in one file
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "PPM": rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+\s",  # also PGM and PBM
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "AVIF": rb".{4}ftyp(avi[fs]|(mif1|msf1).{4}(.{4})*?avi[fs])",
}
UNREAD = {  # photos all the same, for which Pillow alone has no decoder
    "HEIC": rb".{4}ftyp(he[iv][cxms]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
}
AGAIN = "Download it again or remove it"
INSTEAD = {  # what it is, and the way out
    rb"version https://git-lfs": "a git-lfs pointer, not yet the photo. Run `git lfs pull` in its folder",
    rb"(\.\.?)?/[^\n]*annex/objects/": "a git-annex pointer, not yet the photo. Run `git annex get` in its folder",
    rb"\s*<(!doctype\s+html|html|head|body|title|script|!--)": f"an HTML page, saved instead of the photo. {AGAIN}",
    rb'\s*(<\?xml|<\w|[{\[]\s*["{\[}\]])': f"XML or JSON, saved instead of the photo. {AGAIN}",
    rb"%PDF|PK\x03\x04|\x1f\x8b|Rar!|.{4}ftyp|RIFF.{4}AVI |\x1a\x45\xdf\xa3": "a PDF, an archive or a video. Remove it",
    rb"\0+$": f"nothing but zero bytes, as an interrupted copy leaves. {AGAIN}",
    rb"[\t\n\r -~\x80-\xff]+$": f"text, not a photo. {AGAIN}",
}
BOM = b"\xef\xbb\xbf"


def photo_format(head: bytes) -> str | None:
    """Return the format of the photo that begins with `head`, None where it is no photo."""
    return next((name for name, start in (READ | UNREAD).items() if re.match(start, head, re.DOTALL)), None)


def instead(head: bytes) -> str | None:
    """Say what is there instead of a photo that can be read, with the way out; None where it is not known."""
    if not head:
        return "empty. Replace the file or remove it"
    if (name := photo_format(head)) in UNREAD:
        way = "Convert it to JPEG, such as with `magick mogrify -format jpg FILE`, and move the original elsewhere"
        return f"{name}, which Pillow does not read. {way}"
    if name:
        return None
    text = head.removeprefix(BOM)
    return next((what for start, what in INSTEAD.items() if re.match(start, text, re.DOTALL | re.IGNORECASE)), None)
