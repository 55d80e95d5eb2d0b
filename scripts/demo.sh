#!/usr/bin/env bash
# From nothing to two evaluated models: called by `make demo`. Everything is in demo/; run again, it resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
data=demo/splitted runs=demo/runs

if [ ! -f $data/split.json ]; then
    rm -rf demo/raw $data
    leafdist sample-data demo/raw
    leafdist split demo/raw $data
fi

# one process per GPU; without GPUs one process with all cores
gpus=$(python -c 'import torch; print(torch.cuda.device_count())')
launch=(python)
if [ "$gpus" -gt 1 ]; then
    launch=(accelerate launch --multi_gpu --num_machines 1 --num_processes "$gpus" --mixed_precision no --dynamo_backend no)
    export LEAFDIST_EXPECT_WORLD=$gpus
fi

find_weights() {
    python - <<'END'
import sys
from leafdist.config.networks import RESNET50
from leafdist.models.weights import find_weights
try:
    find_weights("IMAGENET1K_V2", RESNET50)
except ValueError as missing:
    sys.exit(str(missing))
END
}

weights=()
if [ -f demo/random-weights ] || ! find_weights; then
    echo "ResNet-50 starts from random weights, nothing frozen"
    weights=(--model.weights none)
    touch demo/random-weights # run again, the demo goes on with the same
fi

common=(--data.root $data --run.folder $runs --train.batch_size 32 --track.wandb off)
common+=(--optim.schedule cosine --optim.warmup_epochs 2 --optim.lr 5e-4) # so few steps want a gentle start
"${launch[@]}" train.py --config configs/baseline.yaml "${common[@]}" --train.epochs 16
"${launch[@]}" train.py --config configs/resnet50.yaml "${common[@]}" --train.epochs 5 "${weights[@]}"
"${launch[@]}" evaluate.py $runs/baseline $runs/resnet50

echo
echo "Photos: $data. Runs: $runs/baseline, $runs/resnet50 (metrics.jsonl, best/, eval-test.json, predictions-test.csv)."
