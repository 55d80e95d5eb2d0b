"""Train a leaf-disease classifier.

python train.py --config configs/baseline.yaml
accelerate launch --multi_gpu --num_processes 4 train.py --config configs/resnet50.yaml --data.root /data/splitted
sbatch slurm/train.sbatch --config configs/resnet50.yaml --optim.lr 3e-4
"""

import sys

from leafdist.jobs.train_job import main
from leafdist.system import signals

__all__ = ["main"]

if __name__ == "__main__":
    signals.ignore()  # outside `main`: a launcher sends one to every rank once the first has left
    sys.exit(main())
