#!/usr/bin/env bash
# All that needs a GPU, in one call of about ten minutes: tests, steps, a killed run, bench, speedrun; text files in OUT.
#   benchmarks/gpu.sh OUT [DATA]      DATA: folder of {train,val,test}/<class>/<photo>; drawn photos without it
# GRAPHS="true false" takes the steps with each --train.graph. QUICK=1 makes each part as small as possible
# (tests/nullgpu). A part that fails is named, and the rest runs.
set -uo pipefail
mkdir -p "$1"
out=$(realpath "$1") data=${2:+$(realpath "$2")} failed=0
cd "$(dirname "$0")/.."
python=${PYTHON:-python} scratch=$(mktemp -d) quick=${QUICK:-0}
trap 'rm -rf "$scratch"' EXIT
settings="--model.name resnet50 --model.weights none" steps="" bench="--turns 3 --seconds 0.5" per_class=60 kinds="gpu or not slow"
# val accuracy of the protocol's 30 epochs on leaf64; drawn photos have no such figure
speedrun="--target ${TARGET:-$([ -n "$data" ] && echo 0.9337 || echo 0)} --seeds 3"
if [ "$quick" = 1 ]; then
    settings="--model.name baseline --data.resize 16 --data.crop 12 --train.batch_size 8" per_class=5 kinds="not slow"
    bench="--turns 1 --seconds 0.01" steps="--sides 12 --rows 2 --precisions no --seconds 0.01 --model.name baseline"
    speedrun="--target 0 --seeds 1 --train.epochs 1 --optim.warmup_epochs 0 $settings"
fi
export python data scratch settings

part() { # NAME SECONDS COMMAND...: its output to OUT/NAME.txt, its end to OUT/summary.txt
    local name=$1 limit=$2 began=$SECONDS status=0
    shift 2
    timeout --kill-after 10 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    echo "$name: status $status, $((SECONDS - began)) s" | tee -a "$out/summary.txt"
    [ "$status" = 0 ] || { failed=1 && tail -n 15 "$out/$name.txt"; }
}

killed() { # a run that SIGKILL ends after its first checkpoint, and that goes on, against one that nothing ended
    run() {
        # shellcheck disable=SC2086
        exec "$python" train.py $settings --data.root "$data" --run.folder "$scratch/runs" --run.name "$1" --track.wandb off \
            --train.deterministic true --train.save_every 5 --train.epochs 3
    }
    (run whole) || return
    (run parts) &
    local pid=$! status=0
    until compgen -G "$scratch/runs/parts/last/step-*/manifest.json" >/dev/null || ! kill -0 $pid; do sleep 0.02; done
    kill -KILL $pid
    wait $pid || status=$?
    [ "$status" = 137 ] || { echo "it ended before it could be killed: status $status" && return 1; }
    (run parts) && "$python" - "$scratch/runs" <<'END'
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file
whole, parts = ({file.relative_to(run): load_file(file) for file in run.rglob("*.safetensors")} for run in (Path(sys.argv[1]) / "whole", Path(sys.argv[1]) / "parts"))
assert whole.keys() == parts.keys(), (whole.keys(), parts.keys())
pairs = [(file, name) for file in whole for name in whole[file] if not torch.equal(whole[file][name], parts[file][name])]
print(f"{sum(map(len, whole.values()))} tensors in {len(whole)} files, {len(pairs)} differ", *pairs[:5])
sys.exit(len(pairs) > 0)
END
}
export -f killed

: >"$out/summary.txt"
part card 60 "$python" -c "import torch, torchvision, accelerate, platform as p; print(p.python_version(), *(m.__version__ for m in (torch, torchvision, accelerate)), torch.cuda.get_device_properties(0), torch.backends.cudnn.version(), sep='\n')"
if [ -z "$data" ]; then
    data=$scratch/splitted
    part sample 60 "$python" -m leafdist sample-data "$scratch/raw" --per-class "$per_class"
    part split 60 "$python" -m leafdist split "$scratch/raw" "$data"
fi
# shellcheck disable=SC2046,SC2086
{
    part tests 180 "$python" -m pytest $(grep -rl "mark\.gpu" tests) -p no:cacheprovider -q -m "$kinds"
    for graph in ${GRAPHS:-default}; do
        [ "$graph" = default ] && flags="" || flags="--train.graph $graph"
        part "steps-graph-$graph" 150 "$python" -m benchmarks.steps $steps $flags
    done
    part killed 120 bash -c killed
    part bench 120 "$python" -m leafdist bench --data.root "$data" --parts training,evaluation,loading --json "$out/bench.json" $bench $settings
    part speedrun 180 "$python" benchmarks/speedrun.py configs/speedrun-baseline.yaml "$data" --json "$out/speedrun.json" $speedrun
}
exit "$failed"
