#!/usr/bin/env bash
# What the leak is worth: the same training on a random and on a leaf-disjoint split, one seed for split and training.
#   benchmarks/leak.sh RAW LEAF_IDS OUT "MODEL SEED [MODEL SEED …]"
set -euo pipefail
mkdir -p "$3"
raw=$(realpath "$1") ids=$(realpath "$2") out=$(realpath "$3") runs=${4:-$(echo {baseline,resnet50}\ {0,1,2})}
cd "$(dirname "$0")/.."
read -ra words <<<"$runs"
for ((i = 0; i < ${#words[@]}; i += 2)); do
    model=${words[i]} seed=${words[i + 1]} own=()
    [ "$model" = baseline ] || own=(--model.dropout null) # it has none
    for kind in random leaf; do
        data=$out/$kind-$seed name=$model-$kind-$seed groups=()
        [ "$kind" = random ] || groups=(--groups "$ids")
        [ -e "$data/split.json" ] || leafdist split "$raw" "$data" --mode hardlink --seed "$seed" "${groups[@]}" >/dev/null
        python train.py --config configs/speedrun-baseline.yaml --data.root "$data" --model.name "$model" \
            --model.weights none "${own[@]}" --train.epochs 3 --seed "$seed" --track.wandb off --run.folder "$out/runs" \
            --run.name "$name" >"$out/$name.log" 2>&1
        python evaluate.py "$out/runs/$name" --groups "$ids" >"$out/$name-test.log" 2>&1
        python -c 'import json, sys; e = json.load(open(sys.argv[1])); print(sys.argv[2], e["accuracy"], e["interval_by_leaf"])' \
            "$out/runs/$name/eval-test+leaves.json" "$name"
    done
done
