#!/usr/bin/env bash
# All that needs a GPU, in one call of about ten minutes: tests, steps, a killed run, bench, speedrun; text files in OUT.
#   benchmarks/gpu.sh OUT [DATA]      DATA: folder of {train,val,test}/<class>/<photo>; drawn photos without it
# GRAPHS="never always" takes the steps with each --train.graph. QUICK=1 makes each part as small as possible, as
# tests/nullgpu/test_cards.py does. A part that fails is named, and the rest runs.
set -uo pipefail
mkdir -p "$1"
out=$(realpath "$1") data=${2:+$(realpath "$2")} failed=0
cd "$(dirname "$0")/.."
python=${PYTHON:-python} scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
kinds="gpu or not slow" per_class=60 steps="" settings="--model.name resnet50 --model.weights none"
killed="--train.batch_size 32 --train.epochs 4 --train.save_every 20" bench="--turns 3 --seconds 0.5"
# val accuracy of the protocol's 30 epochs on leaf64; drawn photos have no such figure
speedrun="--seeds 3 --target ${TARGET:-$([ -n "$data" ] && echo 0.9337 || echo 0)}"
if [ "${QUICK:-0}" = 1 ]; then
    kinds="not slow" per_class=5 steps="--sides 12 --rows 2 --precisions no --seconds 0.01 --model.name baseline"
    settings="--model.name baseline --data.resize 16 --data.crop 12 --train.batch_size 8"
    killed="--train.epochs 2 --train.save_every 5" bench="--turns 1 --seconds 0.01"
    speedrun="--seeds 1 --target 0 --train.epochs 1 --optim.warmup_epochs 0 $settings"
fi

part() { # NAME SECONDS COMMAND...: its output to OUT/NAME.txt, its end to OUT/summary.txt
    local name=$1 limit=$2 began=$SECONDS status=0
    shift 2
    timeout --kill-after 10 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    echo "$name: status $status, $((SECONDS - began)) s" | tee -a "$out/summary.txt"
    [ "$status" = 0 ] || { failed=1 && tail -n 15 "$out/$name.txt"; }
}

resume() { # FOLDER TRAIN...: a run that SIGKILL ends after its first checkpoint goes on as one that nothing ended
    local folder=$1 status=0
    shift
    "$@" --run.folder "$folder" --run.name whole || return
    "$@" --run.folder "$folder" --run.name parts &
    until compgen -G "$folder/parts/last/step-*" >/dev/null || ! kill -0 $!; do sleep 0.02; done
    kill -KILL $!
    wait $! || status=$?
    [ "$status" = 137 ] || { echo "not killed: status $status" && return 1; }
    "$@" --run.folder "$folder" --run.name parts || return
    "$python" - "$folder/whole" "$folder/parts" <<'END'
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file
def tensors(run):
    folders = Path(run, "best"), max(Path(run, "last").glob("step-*"))
    files = [file for folder in folders for file in folder.glob("*.safetensors")]
    return {(str(file.relative_to(run)), name): tensor for file in files for name, tensor in load_file(file).items()}
whole, parts = map(tensors, sys.argv[1:])
assert whole and whole.keys() == parts.keys(), whole.keys() ^ parts.keys()
differ = [key for key in whole if not torch.equal(whole[key], parts[key])]
print(f"{len(whole)} tensors, {len(differ)} differ", *differ[:9])
sys.exit(len(differ) > 0)
END
}
export python
export -f resume

: >"$out/summary.txt"
part card 60 "$python" -c "import platform, torch, torchvision; print(torch.cuda.get_device_properties(0), torch.__version__, \
torchvision.__version__, torch.version.cuda, torch.backends.cudnn.version(), platform.python_version(), sep='\n')"
if [ -z "$data" ]; then
    data=$scratch/splitted
    part sample 60 "$python" -m leafdist sample-data "$scratch/raw" --per-class "$per_class"
    part split 60 "$python" -m leafdist split "$scratch/raw" "$data"
fi
# shellcheck disable=SC2046,SC2086  # variables of several words
{
    part tests 180 "$python" -m pytest $(grep -rl "mark\.gpu" tests) -p no:cacheprovider -q -m "$kinds"
    for graph in ${GRAPHS:-never always}; do
        part "steps-graph-$graph" 100 "$python" -m benchmarks.steps $steps --train.graph "$graph"
    done
    part resume 150 bash -c 'resume "$@"' _ "$scratch/runs" "$python" train.py --data.root "$data" --track.wandb off \
        --train.deterministic true $settings $killed
    part bench 120 "$python" -m leafdist bench --data.root "$data" --parts training,evaluation,loading $bench $settings
    part speedrun 180 "$python" benchmarks/speedrun.py configs/speedrun-baseline.yaml "$data" $speedrun
}
exit "$failed"
