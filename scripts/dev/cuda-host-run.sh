#!/usr/bin/env bash
# Builds, tests and measures mcloss on a machine with a GPU, without network and without a Node of its
# own. It lies at the top of the archive that `npm run cuda-host -- pack` makes.
# Exit codes: 0 every stage passed, 1 one did not, 2 bad usage or something is missing here.
set -u

usage='Usage: bash cuda-host-run.sh [options]
  --python PATH    the Python with a CUDA torch (default: MCLOSS_PYTHON, then python3)
  --report DIR     where report.md and the logs go (default: report/ beside this script)
  --jobs N         processors the build uses (default: all, fewer where memory is short)
  --minutes N      ends in this time; a stage that no longer fits counts as failed (default: 10)
  --skip-bench     no benches
  --again          run also the stages that a run before has passed
  --cpu            try the archive on a machine without a GPU: the kernels run on the CPU, no benches

The most valuable stages come first. A second run goes on where the first one ended.'

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${MCLOSS_PYTHON:-python3}
report=$root/report
jobs=0
minutes=10
bench=yes
again=no
gpu=yes

bad_usage() {
  printf '%s\n%s\n' "$1" "$usage" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --python | --report | --jobs | --minutes)
      [ $# -ge 2 ] || bad_usage "$1 needs a value"
      case $1 in
        --python) python=$2 ;;
        --report) report=$2 ;;
        --jobs) jobs=$2 ;;
        --minutes) minutes=$2 ;;
      esac
      shift
      ;;
    --skip-bench) bench=no ;;
    --again) again=yes ;;
    --cpu) gpu=no bench=no ;;
    --help) printf '%s\n' "$usage" && exit 0 ;;
    *) bad_usage "unknown option: $1" ;;
  esac
  shift
done
[[ $jobs =~ ^[0-9]{1,4}$ ]] || bad_usage "--jobs: expected a whole number, received '$jobs'"
[[ $minutes =~ ^[0-9]{1,4}$ ]] || bad_usage "--minutes: expected a whole number, received '$minutes'"

# ---- what must be here; nothing is written before all of it is ----
missing=()
lacks() { missing+=("$1"); }

# The path of a command, with the folder in full: stages run in another folder.
path_of() {
  local found
  found=$(command -v -- "$1") || return 1
  case $found in
    /*) printf '%s\n' "$found" ;;
    *) printf '%s/%s\n' "$(cd "$(dirname "$found")" && pwd)" "$(basename "$found")" ;;
  esac
}

facts_of_torch='
import os, torch
gpu = torch.cuda.is_available()
print("torch=" + os.path.dirname(torch.__file__))
print("torch_version=" + torch.__version__)
print("torch_cuda=" + (torch.version.cuda or ""))
print("gpu_name=" + (torch.cuda.get_device_name(0) if gpu else ""))
print("gpu_capability=" + (".".join(map(str, torch.cuda.get_device_capability(0))) if gpu else ""))
'

torch='' torch_version='' torch_cuda='' gpu_name='' gpu_capability=''
look_for_torch() {
  local named=$python facts key value
  if ! python=$(path_of "$named"); then
    lacks "Python: $named is not there. Name the one that has a CUDA torch: --python PATH"
    return
  fi
  # From the root folder: Python would take a folder named torch in the working folder for the module.
  if ! facts=$(cd / && "$python" -c "$facts_of_torch" 2>&1); then
    lacks "torch: $python says: $(tail -n 1 <<<"$facts"). Name a Python that has it: --python PATH"
    return
  fi
  while IFS='=' read -r key value; do
    case $key in
      torch | torch_version | torch_cuda | gpu_name | gpu_capability) printf -v "$key" '%s' "$value" ;;
    esac
  done <<<"$facts"
  [ $gpu = yes ] || return
  if [ -z "$torch_cuda" ]; then
    lacks "a torch for CUDA: torch $torch_version of $python is a build for the CPU. Name a Python with a CUDA one: --python PATH"
  elif [ -z "$gpu_name" ]; then
    lacks "a GPU: torch.cuda.is_available() of torch $torch_version says no. Does nvidia-smi list one? Is its driver new enough for CUDA $torch_cuda? Does CUDA_VISIBLE_DEVICES hide it? Did the job ask for one?"
  fi
}

nvcc=''
look_for_nvcc() {
  local place
  if [ -n "${CUDA_HOME:-}" ]; then
    nvcc=$CUDA_HOME/bin/nvcc
    [ -x "$nvcc" ] || lacks "nvcc: CUDA_HOME=$CUDA_HOME has no bin/nvcc. Name a CUDA toolkit, or unset it"
    return
  fi
  for place in "$(path_of nvcc)" /usr/local/cuda/bin/nvcc "${torch%/*}"/nvidia/*/bin/nvcc; do
    nvcc=$place
    [ -x "$nvcc" ] && return
  done
  lacks "nvcc: neither on PATH nor in /usr/local/cuda/bin. Load the module of the CUDA toolkit${torch_cuda:+ $torch_cuda}, or set CUDA_HOME to its folder"
}

look_for_node() {
  local says
  if [ ! -x "$root/bin/node" ]; then
    lacks "the archive: no bin/node beside this script. Make one where Node is: npm run cuda-host -- pack"
  elif ! says=$("$root/bin/node" --version 2>&1); then
    lacks "a system that runs the packed Node: $(tail -n 1 <<<"$says")"
  fi
}

look_for_node
look_for_torch
[ $gpu = no ] || look_for_nvcc
# A venv may have its own cmake and ninja.
export PATH=$root/bin:${nvcc:+${nvcc%/*}:}$PATH:${python%/*}
command -v cmake >/dev/null || lacks 'cmake >= 3.18. Load its module, or: pip install cmake'
command -v "${CXX:-c++}" >/dev/null || lacks "a C++ compiler: ${CXX:-c++} is not there. Load the module of g++ >= 11, or set CXX"
command -v ninja >/dev/null || command -v make >/dev/null || lacks 'ninja or make'
command -v timeout >/dev/null || lacks 'timeout (of coreutils)'
if [ ${#missing[@]} -gt 0 ]; then
  {
    echo 'cuda-host-run: missing on this machine:'
    printf '  - %s\n' "${missing[@]}"
    echo 'Nothing was built or written.'
    [ $gpu = no ] || echo 'Without a GPU the archive can be tried with --cpu.'
  } >&2
  exit 2
fi

# ---- the report ----
mkdir -p "$report/passed" && report=$(cd "$report" && pwd) || exit 2
[ $again = no ] || rm -f "$report"/passed/*
cd "$root" || exit 2
unset LIBTORCH LIBTORCH_USE_PYTORCH MCLOSS_NATIVE NODE_OPTIONS NODE_PATH
export NO_COLOR=1 MCLOSS_PYTHON=$python

page=$report/report.md
write() { printf '%s\n' "$1" | tee -a "$page"; }
fact() { write "- $1: $2"; }
: >"$page" || exit 2
write '# mcloss on a CUDA machine'
write ''
fact 'date' "$(date -u '+%Y-%m-%d %H:%M UTC')"
fact 'archive' "$(cat packed.txt 2>/dev/null)"
if [ $gpu = yes ]; then
  toolkit=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
  fact 'GPU' "$gpu_name, compute capability $gpu_capability"
  fact 'driver' "${driver:-unknown: nvidia-smi does not say}"
  fact 'CUDA toolkit' "$toolkit, $nvcc"
  [ "${toolkit%%.*}" = "${torch_cuda%%.*}" ] ||
    fact 'note' "torch is for CUDA $torch_cuda, nvcc is of CUDA $toolkit: the build may fail for that"
else
  fact 'GPU' 'none used (--cpu)'
fi
fact 'torch' "$torch_version${torch_cuda:+ (CUDA $torch_cuda)}, $torch"
fact 'CPU' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors"
fact 'Node' "$(node --version)"
# Clocks and power, as they are: nothing here changes them.
clocks() {
  [ $gpu = yes ] || return 0
  fact "$1" "$(nvidia-smi --query-gpu=clocks.sm,clocks.mem,power.draw,power.limit,temperature.gpu \
    --format=csv,noheader 2>/dev/null | head -n 1)"
}
clocks 'clocks of SM and memory, power and its limit, temperature, before'
write ''
write '| stage | exit code | seconds | last line |'
write '|---|---|---|---|'

# ---- stages ----
deadline=$((SECONDS + 60 * minutes))
number=0 passed=0 failed=0 left_out=0 child=''
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM HUP
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 130' INT

# Of a log, whose first line is the command: the last line that counts something, else the last one.
last_line() {
  local lines
  lines=$(sed -e 1d -e 's/\x1b\[[0-9;]*m//g' -e '/^[[:space:]]*$/d' "$1")
  {
    grep -E '[0-9]+ (passed|failed)|(ERROR|RACECHECK) SUMMARY|; goal ' <<<"$lines" ||
      printf '%s\n' "$lines"
  } | tail -n 1 | sed -e 's/^[[:space:]]*//' -e 's/|/\//g' | cut -c 1-200
}

row() { write "| $1 | $2 | $3 | $4 |"; }

# stage NAME LIMIT COMMAND...: LIMIT in seconds; its output goes to a log of its own.
stage() {
  local name=$1 limit=$2 left=$((deadline - SECONDS)) began code line log
  shift 2
  number=$((number + 1))
  log=$(printf '%s/%02d-%s.log' "$report" "$number" "$name")
  if [ -e "$report/passed/$name" ]; then
    passed=$((passed + 1))
    row "$name" 0 0 "passed in a run before: $(cat "$report/passed/$name")"
    return 0
  fi
  if [ "$left" -le 0 ]; then
    failed=$((failed + 1))
    row "$name" '-' 0 "not run: the $minutes minutes are over"
    return 1
  fi
  [ "$limit" -le "$left" ] || limit=$left
  printf '%q ' "$@" >"$log"
  echo >>"$log"
  began=$SECONDS
  # In the background: a trap runs while wait waits. timeout ends what the command started, too.
  timeout --kill-after=10 "$limit" "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  wait "$child"
  code=$?
  child=''
  line=$(last_line "$log")
  # 137: killed after it had ignored the first signal.
  if [ $((SECONDS - began)) -ge "$limit" ] && { [ $code = 124 ] || [ $code = 137 ]; }; then
    line="stopped at its limit of $limit s; $line"
  fi
  row "$name" "$code" $((SECONDS - began)) "$line"
  if [ $code = 0 ]; then
    passed=$((passed + 1))
    printf '%s\n' "$line" >"$report/passed/$name"
    return 0
  fi
  failed=$((failed + 1))
  printf '%s\n' "--- the end of $log"
  tail -n 20 "$log"
  echo '---'
  return 1
}

not_run() {
  left_out=$((left_out + 1))
  row "$1" '-' 0 "not run: $2"
}

finish() {
  write ''
  write "$passed passed, $failed failed, $left_out not run, in $SECONDS s; the logs are in $report"
  [ $failed = 0 ]
  exit
}

# build.mjs starts as many jobs as it has processors.
on_processors='
import os, sys
count, command = int(sys.argv[1]), sys.argv[2:]
if count: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
os.execvp(command[0], command)
'
build=("$python" -c "$on_processors" "$jobs" node scripts/setup/build.mjs --libtorch "$torch" --tests --force)
if [ $gpu = yes ]; then
  # cmake-js hands npm's settings cmake_X on as -DX: machine code for this GPU alone.
  build=(env CUDACXX="$nvcc" npm_cmake_CMAKE_CUDA_ARCHITECTURES="${gpu_capability/./}" "${build[@]}")
fi
stage build $((60 * minutes)) "${build[@]}" || finish

# A Python is for the benches: vitest finds one that has the modules of a test, or skips it with a reason.
tests() { stage "$1" "$2" env -u MCLOSS_PYTHON node node_modules/vitest/vitest.mjs run "${@:3}"; }
ops_test=(build/ops_test test/fixtures)
if [ $gpu = no ]; then
  stage kernels 300 "${ops_test[@]}" --kernels
  stage ops_test 300 "${ops_test[@]}"
  tests vitest 600 test/native
  finish
fi

stage gpu 150 "${ops_test[@]}" --gpu
tests trainer 90 test/native/train/gpu.test.ts test/native/train/graph.test.ts test/native/train/overfit.test.ts

benches() {
  [ $bench = yes ] || return 0
  local rows
  rows=$(wc -l <bench/results.jsonl)
  run_bench() { stage "$1" "$2" node "bench/$3.mjs" --python "$python" "${@:4}"; }
  run_bench step-224 150 train-step-gpu --size 224 --peers eager,graph
  run_bench step-448 150 train-step-gpu --size 448 --steps 40 --peers eager,graph
  run_bench operators 60 gpu-operators
  run_bench mc-loss 120 mc-loss --device cuda --only 2048
  run_bench step-mc 150 train-step-gpu --loss mc --peers eager,graph
  run_bench step-vgg16 150 train-step-gpu --model vgg16 --steps 40 --peers eager,graph
  run_bench step-compiled 240 train-step-gpu --peers compiled
  run_bench profile 120 step-profile
  run_bench memory 90 memory --device cuda --model resnet50 --batch 32
  clocks 'the same after the benches'
  write ''
  node bench/rows-since.mjs "$rows" | tee -a "$page"
  write ''
}

sanitizers() {
  local tool
  # LibTorch and the runtime ask the driver for functions it may lack; such answers are no errors.
  local sanitizer=(compute-sanitizer --report-api-errors no --error-exitcode 86)
  for tool in memcheck racecheck synccheck initcheck; do
    if ! command -v compute-sanitizer >/dev/null; then
      not_run $tool 'no compute-sanitizer on PATH'
      continue
    fi
    # Without LibTorch's cache each tensor is an allocation of its own, with an end that memcheck sees.
    stage $tool 90 env PYTORCH_NO_CUDA_MEMORY_CACHING=1 \
      "${sanitizer[@]}" --tool $tool "${ops_test[@]}" --gpu-small
  done
}

benches
stage ops_test 240 "${ops_test[@]}"
tests vitest 300 test/native
sanitizers # last: a GPU may take no more work after one that was stopped at its limit
finish
