#!/usr/bin/env bash
# The table of docs/results.md: both models without pretrained weights, on 1 and 2 processes, ResNet-50 on 2 also with
# BatchNorm's statistics over both; one line per run.
#   benchmarks/results.sh SPLITTED OUT "MODEL SEED FORM [MODEL SEED FORM …]"    FORM: 1, 2 or sync
set -euo pipefail
mkdir -p "$2"
data=$(realpath "$1") out=$(realpath "$2") runs=${3:-$(echo {baseline,resnet50}\ {0,1,2}\ {1,2} resnet50\ {0,1,2}\ sync)}
cd "$(dirname "$0")/.."
read -ra words <<<"$runs"
for ((i = 0; i < ${#words[@]}; i += 3)); do
    model=${words[i]} seed=${words[i + 1]} form=${words[i + 2]}
    name=$model-seed$seed-$form processes=${form/sync/2} launch=(python) sync=false
    [ "$form" != sync ] || sync=true
    [ "$processes" = 1 ] || launch=(accelerate launch --multi_gpu --num_machines 1 --num_processes "$processes"
        --mixed_precision no --dynamo_backend no)
    LEAFDIST_EXPECT_WORLD=$processes "${launch[@]}" train.py --config "configs/$model.yaml" --data.root "$data" \
        --model.weights none --train.batch_size 64 --train.epochs 10 --train.sync_batchnorm "$sync" --seed "$seed" \
        --track.wandb off --run.folder "$out" --run.name "$name" >"$out/$name.log" 2>&1
    python evaluate.py "$out/$name" >"$out/$name-test.log" 2>&1
    echo "$name: $(grep -o '"accuracy": [0-9.]*' "$out/$name/eval-test.json" | head -n 1)"
done
