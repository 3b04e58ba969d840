#!/usr/bin/env bash
# From a fresh clone to a trained policy: environment, testbed, MENTOR on it. Needs Python 3.11 or newer, nothing else.
# Arguments go to `mentor fit`: `bash scripts/quickstart.sh --config configs/algorithms/grpo.yaml`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/env.sh ""

if ! ls data/testbed/{train.jsonl,heldout.jsonl,policy/model.safetensors,expert/model.safetensors} >/dev/null 2>&1; then
  mentor testbed build --out data/testbed
fi
exec mentor fit --config configs/quickstart.yaml --config configs/trainer/records.yaml "$@"
