# Sourced by the job scripts.
#   launch SCRIPT ARGUMENTS…   one process per GPU of the job, or $PROCESSES per node; LAUNCHER=srun: one task per process
#   train_job ARGUMENTS…       launch train.py, pass warnings on, requeue the job if the run was cut off; else return its status
#   requeue TEXT               requeue the job and leave with status 75; TEXT: what the next start does
leafdist_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -f "$leafdist_root/.venv/bin/activate" ]; then source "$leafdist_root/.venv/bin/activate"; fi
export PYTHONPATH=$leafdist_root${PYTHONPATH:+:$PYTHONPATH}
unset SLURM_EXPORT_ENV # after `sbatch --export=NONE`, srun would not even find bash
unset SLURM_GPUS_PER_TASK SLURM_TRES_PER_TASK # srun would take them over: each launcher sees all GPUs of its node
# beside NCCL the ranks talk over gloo, which takes whole names of interfaces: no ^ or =, and no beginnings of names
gloo=${NCCL_SOCKET_IFNAME:-}
for one in ${gloo//,/ }; do [ -e "/sys/class/net/$one" ] || gloo=; done
if [ -n "$gloo" ]; then export GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME:-$gloo}; fi

launch() {
    local per_node=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}} nodes=${SLURM_JOB_NUM_NODES:-1}
    [ "$per_node" -ge 1 ] || per_node=1 # a job without GPUs may be told 0
    export LEAFDIST_EXPECT_WORLD=$((per_node * nodes)) # another number of processes is an error, not a surprise
    export MASTER_ADDR MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))
    while (: >"/dev/tcp/127.0.0.1/$MASTER_PORT") 2>/dev/null; do MASTER_PORT=$((MASTER_PORT + 1)); done # one in use answers
    MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    if [ "$LEAFDIST_EXPECT_WORLD" -gt 1 ]; then say "$LEAFDIST_EXPECT_WORLD processes meet at $MASTER_ADDR:$MASTER_PORT"; fi
    # train.py notes its exit status here and leaves with 0: launchers lose statuses, and print a page of traceback
    export LEAFDIST_STATUS
    LEAFDIST_STATUS=$(mktemp) || LEAFDIST_STATUS=
    set -- "$leafdist_root/$1" "${@:2}"
    # USR1 would kill a launcher, or a Python that is still starting; train.py has its own handler
    local deaf='trap "" USR1 USR2; exec'
    if [ "$LEAFDIST_EXPECT_WORLD" -eq 1 ]; then
        srun --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" bash -c "$deaf"' python "$@"' - "$@" &
    elif [ "${LAUNCHER:-accelerate}" = srun ]; then
        export LOCAL_WORLD_SIZE=$per_node
        srun --ntasks="$LEAFDIST_EXPECT_WORLD" --ntasks-per-node="$per_node" --cpus-per-task="$(share "$per_node")" \
            $(overcommit "$per_node") --kill-on-bad-exit=1 bash -c 'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
            '"$deaf"' python "$@"' - "$@" &
    else
        # --multi_gpu also on CPUs: without it accelerate starts one process, silently
        srun --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 \
            bash -c "$deaf"' accelerate launch --multi_gpu --num_machines "$SLURM_NNODES" \
            --num_processes "$LEAFDIST_EXPECT_WORLD" --machine_rank "$SLURM_NODEID" --rdzv_backend static \
            --main_process_ip "$MASTER_ADDR" --main_process_port "$MASTER_PORT" --mixed_precision no \
            --dynamo_backend no "$@"' - "$@" &
    fi
    step=$!
    while :; do # a signal with a trap ends `wait`
        trapped='' status=0
        wait "$step" || status=$?
        [ -n "$trapped" ] || break
    done
    if [ "$status" -eq 0 ] && [ -s "$LEAFDIST_STATUS" ]; then read -r status <"$LEAFDIST_STATUS" || true; fi
    rm -f "$LEAFDIST_STATUS"
    return "$status"
}

share() { # CPUs a process, where $1 share a node's
    local cpus=$((${SLURM_CPUS_PER_TASK:-1} / $1))
    echo $((cpus > 0 ? cpus : 1))
}

overcommit() { # lets $1 processes share fewer CPUs of a node
    [ "${SLURM_CPUS_PER_TASK:-1}" -ge "$1" ] || echo --overcommit
}

train_job() {
    export SIGNALLED=
    step=$$ # until there is one: a warning may come before
    trap 'trapped=1 SIGNALLED=1; warn' USR1
    python -m leafdist.runs.requeue start "$@" || exit
    local left
    left=$(time_left) || left=
    if [ -n "$left" ] && [ "$left" -lt 300 ]; then
        say "warning: a time limit of $left s is mostly start-up and saving; ask for --time=10 or more"
    fi
    local ended_by_slurm=
    trap 'trapped=1 SIGNALLED=1 ended_by_slurm=1' TERM # which Slurm sends to the training too
    local status=0
    # copy the data to the node's own disk if the cluster names one; later arguments override this
    launch train.py ${SLURM_TMPDIR:+--data.stage true} "$@" || status=$?
    trap '' USR1 TERM
    if [ -n "$ended_by_slurm" ] && ! out_of_time; then
        say "ended from outside: not requeued from here; submit the same again to go on"
        SIGNALLED= # nor by what follows this
    elif [ "$status" -ne 0 ] && { ! preempted || SIGNALLED=1; } && python -m leafdist.runs.requeue end "$@"; then
        requeue "the job resumes from its last checkpoint when Slurm starts it again"
    fi
    return "$status"
}

requeue() { # and leave; $1: what the next start does
    say "requeueing: $1"
    scontrol requeue "$(this_job)" || say "Slurm refuses that: submit the same again to go on"
    exit 75
}

this_job() { # the id of one task of an array may be that of the whole array
    [ -z "${SLURM_ARRAY_JOB_ID:-}" ] && echo "$SLURM_JOB_ID" || echo "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
}

say() { # a full disk under the log must not end the job
    echo "$@" 2>/dev/null || true
}

time_left() { # seconds to the time limit; nothing where there is none
    local end
    end=$(SLURM_TIME_FORMAT=standard scontrol show job "$(this_job)" | sed -n 's/.* EndTime=\([0-9T:-]*\).*/\1/p')
    [ -z "$end" ] || echo $(($(date -d "$end" +%s) - $(date +%s)))
}

warn() { # Slurm's warning, to every process of the step; again, since one that still imports has no handler yet
    local left pause=0
    left=$(time_left) || left=
    # below --time=4 it comes at the start: train for half of the time first
    if [ -n "$left" ] && [ "$left" -lt 200 ] && [ "$left" -gt "$SECONDS" ]; then pause=$(((left - SECONDS) / 2)); fi
    say "$(date +%T) warning from Slurm, ${left:-?} s before the time limit: saving in $pause s"
    (sleep "$pause"; while kill -0 "$step" 2>/dev/null; do
        scancel --signal=USR1 "$(this_job).0" 2>/dev/null || true
        sleep 5
    done) &
}

out_of_time() { # and not scancel, after which a job stays down; its state is COMPLETING in either case
    scontrol -o show job "$(this_job)" | grep -q 'Reason=TimeLimit'
}

preempted() { # in the GraceTime TERM comes to the processes, and not to the shell
    scontrol -o show job "$(this_job)" | grep -q ' PreemptTime=[0-9]'
}
