#!/usr/bin/env bash
# Installs what the tests need and runs them all. Arguments go to pytest: `bash scripts/test.sh -k gate`.
# `bash scripts/test.sh --newest` runs them with the newest versions that pyproject.toml allows, in .venv-newest, and first
# says which of them are not those of constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --newest ]; then
  shift
  source scripts/env.sh newest
  python -m pip --disable-pip-version-check freeze --exclude-editable | tr _ - | grep -vixFf <(tr _ - <constraints.txt) || true
else
  source scripts/env.sh dev
fi

# Nothing is fetched while testing: models and data are made by the tests or lie in the repository.
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 WANDB_MODE=offline TOKENIZERS_PARALLELISM=false
# One thread per worker and a worker per core: the models are so small that threads only cost.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
workers=$(python -c 'import os; print(min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))')

# A file stays on one worker, so that what it builds once is built once; files in their order, since those with few tests
# are not the short ones.
exec python -m pytest --numprocesses "$workers" --dist loadfile --no-loadscope-reorder "$@"
