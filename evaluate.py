"""Exact accuracy of the best checkpoint of one or several runs; the same files for any number of processes.

python evaluate.py runs/resnet50
python evaluate.py runs/baseline runs/resnet50 --split val
"""

import sys

from leafdist.jobs.evaluate_job import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
