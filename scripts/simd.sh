#!/usr/bin/env bash
# Replace Pillow by Pillow-SIMD in an environment, or go back: scripts/simd.sh on|off [PYTHON]
# Built from source, with AVX2 if this machine has it; on a cluster, build on the nodes that run the jobs. A later
# `pip install pillow` silently overwrites it. Packs record their decoder, and are rebuilt when it changes.
set -euo pipefail
python=${2:-python}

back() {
    "$python" -m pip uninstall --quiet --yes pillow-simd pillow
    "$python" -m pip install --quiet "pillow>=11"
}

case ${1:-} in
on)
    compiler=${CC:-cc}
    if ! printf '#include <stdio.h>\n#include <jpeglib.h>\n' | $compiler -E - >/dev/null 2>&1; then
        echo "no compiler with jpeglib.h: install one first, such as apt-get install gcc libjpeg-dev zlib1g-dev" >&2
        exit 2
    fi
    if grep -qw avx2 /proc/cpuinfo; then compiler="$compiler -mavx2"; fi
    "$python" -m pip uninstall --quiet --yes pillow
    CC=$compiler "$python" -m pip install --quiet --no-binary pillow-simd --no-cache-dir pillow-simd || { back && exit 1; }
    ;;
off) back ;;
*)
    echo "usage: scripts/simd.sh on|off [PYTHON]" >&2
    exit 2
    ;;
esac
"$python" -c "import PIL; print('decoder: Pillow', PIL.__version__)"
