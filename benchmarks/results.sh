#!/usr/bin/env bash
# The README's table: both models without pretrained weights, 1 and 2 processes, several seeds; a line a run.
#   benchmarks/results.sh SPLITTED OUT [EPOCHS]        (here: leaf256 split by leaf, about an hour on 2 cores)
set -euo pipefail
data=$1 out=$2 epochs=${3:-10}
cd "$(dirname "$0")/.."
for run in "baseline 0" "resnet50 0" "baseline 1" "resnet50 1" "baseline 2"; do
    read -r model seed <<<"$run"
    for processes in 1 2; do
        launch=(python)
        [ "$processes" = 1 ] || launch=(accelerate launch --multi_gpu --num_machines 1 --num_processes "$processes"
            --mixed_precision no --dynamo_backend no)
        name=$model-seed$seed-p$processes
        LEAFDIST_EXPECT_WORLD=$processes "${launch[@]}" train.py --config "configs/$model.yaml" --data.root "$data" \
            --model.weights none --train.batch_size 32 --train.epochs "$epochs" --seed "$seed" --track.wandb off \
            --run.folder "$out" --run.name "$name" >"$out/$name.log" 2>&1
        python evaluate.py "$out/$name" 2>&1 | tail -n 1
    done
done
