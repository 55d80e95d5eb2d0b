# Sourced by the job scripts: `launch SCRIPT ARGUMENTS…` starts one process a GPU, or $PROCESSES of them.
if [ -f .venv/bin/activate ]; then source .venv/bin/activate; fi

launch() {
    local processes=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}
    [ "$processes" -ge 1 ] || processes=1 # a job without GPUs may be told 0
    export LEAFDIST_EXPECT_WORLD=$processes # another number of processes is an error, not a surprise
    if [ "$processes" -eq 1 ]; then
        python "$@"
        return
    fi
    # --multi_gpu also on CPUs: without it accelerate starts one process, silently
    accelerate launch --multi_gpu --num_machines 1 --num_processes "$processes" \
        --main_process_port $((10000 + SLURM_JOB_ID % 20000)) --mixed_precision no --dynamo_backend no "$@"
}
