#!/usr/bin/env bash
# Everything that needs a GPU, in one call of under ten minutes: checks, bench, speedrun; tables and JSON as files in OUT.
#   benchmarks/gpu.sh OUT [DATA]      DATA: folder of {train,val,test}/<class>/<photo>; drawn photos without it
# QUICK=1 makes each part as small as possible, to try the script on a CPU. A part that fails is named, and the rest runs.
set -uo pipefail
mkdir -p "$1"
out=$(realpath "$1") data=${2:+$(realpath "$2")} failed=0
cd "$(dirname "$0")/.."
python=${PYTHON:-python} turns=3 seconds=0.5 seeds=3 kinds="slow or not slow" models="resnet50 baseline" bench=(--model.weights none)
scratch=$(mktemp -d) patience=1
trap 'rm -rf "$scratch"' EXIT
if [ "${QUICK:-0}" = 1 ]; then
    turns=1 seconds=0.01 seeds=1 kinds="not slow" models=baseline patience=20 # a CPU that others use too
    bench+=(--data.resize 16 --data.crop 12 --train.batch_size 8)
fi
# val accuracy of the protocol's 30 epochs on leaf64; drawn photos have no such figure
speedrun=(--target "${TARGET:-$([ -n "$data" ] && [ "${QUICK:-0}" = 0 ] && echo 0.9337 || echo 0)}" --seeds "$seeds")
[ "${QUICK:-0}" = 0 ] || speedrun+=(--train.epochs 1 --optim.warmup_epochs 0)

part() { # NAME SECONDS COMMAND...: its output to OUT/NAME.txt, its end to OUT/summary.txt
    local name=$1 limit=$((patience * $2)) began=$SECONDS status=0
    shift 2
    timeout --kill-after 10 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    echo "$name: status $status, $((SECONDS - began)) s" | tee -a "$out/summary.txt"
    [ "$status" = 0 ] || { failed=1 && tail -n 15 "$out/$name.txt"; }
}

: >"$out/summary.txt"
part device 60 "$python" -c "import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_properties(0))"
if [ -z "$data" ]; then
    part sample 60 "$python" -m leafdist sample-data "$scratch/raw" --per-class "$([ "${QUICK:-0}" = 1 ] && echo 5 || echo 60)"
    data=$scratch/splitted
    part split 60 "$python" -m leafdist split "$scratch/raw" "$data"
fi
part checks 120 "$python" -m pytest tests/training/test_device.py -p no:cacheprovider -q -m "$kinds"
for model in $models; do
    parts=ceiling,training,evaluation,loading limit=110 # 20 cases, 1.5 s each and what warms them up
    [ "$model" = baseline ] || limit=200 # it is compiled twice
    part "bench-$model" "$limit" "$python" -m leafdist bench --config "configs/$model.yaml" --data.root "$data" \
        --parts "$parts" --turns "$turns" --seconds "$seconds" --json "$out/bench-$model.json" "${bench[@]}"
done
part speedrun 120 "$python" benchmarks/speedrun.py configs/speedrun-baseline.yaml "$data" --json "$out/speedrun.json" "${speedrun[@]}"
exit "$failed"
