"""What train.py, evaluate.py and the commands of the same names do, from the command line to the exit status."""
