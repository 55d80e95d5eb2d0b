"""A page in one file in which a browser runs the network on photos, with nothing loaded from anywhere."""

import base64
import gzip
import re
from pathlib import Path

from leafdist.export import onnx_file
from leafdist.export.subject import Subject
from leafdist.export.web_runtime import FILE, load_runtime
from leafdist.pages.render import render_alone
from leafdist.pages.words import title_of
from leafdist.system import files
from leafdist.system.console import visible

STYLES, SCRIPTS = ("page.css", "parts.css", "model.css"), ("pixels.js", "answer.js")
MODEL = re.compile(r'id="model">([^<]*)<')


def save(subject: Subject, path: Path) -> None:
    """Write the page of a `subject` that takes pixels."""
    data, parts = subject.config.data, load_runtime()
    parts["model"] = onnx_file.content(onnx_file.trace(subject))
    titles = [title_of(visible(name)) for name in subject.classes]
    refusal = subject.refusing.refusal if subject.refusing else None
    page = render_alone(
        "export/model.html",
        STYLES,
        SCRIPTS,
        run=visible(subject.record.name),
        titles=titles,
        found=subject.evaluation,
        elsewhere=subject.elsewhere,
        refusal=refusal,
        calibrated=subject.temperature is not None,
        runtime=FILE.removesuffix(".tgz"),
        settings={
            "titles": titles,
            "side": int(data.resize),
            "fit": data.fit,
            "filter": data.interpolation,
            "most": data.max_pixels,
            "temperature": subject.temperature or 1,
            "limits": refusal and {"confidence": refusal.confidence, "distance": refusal.distance},
        },
        parts={name: packed(content) for name, content in parts.items()},
    )
    path.write_text(page, **files.TEXT)


def packed(content: bytes) -> str:
    """Return bytes as a page carries them."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def model_in(path: Path) -> bytes:
    """Return the ONNX file that a page carries."""
    found = MODEL.search(path.read_text(**files.TEXT))
    assert found
    return gzip.decompress(base64.b64decode(found[1]))
