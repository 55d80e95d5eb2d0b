"""onnxruntime-web, which runs a network in a browser: npm's package, downloaded once and checked."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from leafdist.data.pack import user_cache
from leafdist.system import console

NAME, VERSION = "onnxruntime-web", "1.30.0"
FILE = f"{NAME}-{VERSION}.tgz"  # as `npm pack` calls it
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's `integrity`
PARTS = {"script": "ort.wasm.bundle.min.mjs", "engine": "ort-wasm-simd-threaded.wasm"}


def load_runtime() -> dict[str, bytes]:
    """Read what runs on the CPU: `script`, a module, and `engine`, its WebAssembly. Raises ValueError as `fetched`."""
    with tarfile.open(fetched()) as package:
        parts = {name: package.extractfile(f"package/dist/{file}") for name, file in PARTS.items()}
        return {name: part.read() for name, part in parts.items() if part}


def fetched() -> Path:
    """Return the package in the user's cache folder; npm downloads it if it is not there. Raises ValueError."""
    path = user_cache() / FILE
    if not path.exists():
        console.say(f"downloading {NAME} {VERSION} with npm (33 MB, once)")
        path.parent.mkdir(parents=True, exist_ok=True)
        npm = [shutil.which("npm") or "npm", "pack", "--silent", f"{NAME}@{VERSION}"]
        try:
            with TemporaryDirectory(dir=path.parent) as folder:  # a download that is cut off is no package yet
                subprocess.run(npm, check=True, stdout=subprocess.DEVNULL, cwd=folder)
                Path(folder, FILE).replace(path)
        except (OSError, subprocess.CalledProcessError) as error:
            way = f"`npm pack {NAME}@{VERSION}` makes that file on any machine with npm: put it at {path}"
            raise ValueError(f"--formats web: {NAME} cannot be downloaded ({error}). {way}") from error
    if base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() != SHA512:
        raise ValueError(f"{path} is not npm's {NAME} {VERSION}: its SHA-512 is another one. Remove it")
    return path
