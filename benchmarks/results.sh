#!/usr/bin/env bash
# The README's table: both models without pretrained weights, with 1 and 2 processes; a line a run.
#   benchmarks/results.sh SPLITTED OUT "MODEL SEED [MODEL SEED …]"
set -euo pipefail
data=$1 out=$2 runs=${3:-baseline 0 resnet50 0 baseline 1 resnet50 1}
cd "$(dirname "$0")/.."
mkdir -p "$out"
read -ra words <<<"$runs"
for ((i = 0; i < ${#words[@]}; i += 2)); do
    model=${words[i]} seed=${words[i + 1]}
    for processes in 1 2; do
        launch=(python)
        [ "$processes" = 1 ] || launch=(accelerate launch --multi_gpu --num_machines 1 --num_processes "$processes"
            --mixed_precision no --dynamo_backend no)
        name=$model-seed$seed-p$processes
        LEAFDIST_EXPECT_WORLD=$processes "${launch[@]}" train.py --config "configs/$model.yaml" --data.root "$data" \
            --model.weights none --train.batch_size 64 --train.epochs 10 --seed "$seed" --track.wandb off \
            --run.folder "$out" --run.name "$name" >"$out/$name.log" 2>&1
        python evaluate.py "$out/$name" 2>&1 | tail -n 1
    done
done
