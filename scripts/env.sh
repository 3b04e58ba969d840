# Makes .venv ready: `source scripts/env.sh` for running, `source scripts/env.sh dev` with the test tools.
# `source scripts/env.sh newest` makes .venv-newest, with the test tools and the newest versions that pyproject.toml allows
# in place of those in constraints.txt.
# To be sourced (bash or zsh), from anywhere. A second call with nothing changed only activates; .venv-newest is made anew
# every day.
#
# Where the machine has no NVIDIA device, torch comes from PyTorch's own CPU index when that can be reached, since the
# default index gives Linux a build with gigabytes of CUDA.

# Bytecode is made as modules are imported, which is less work than compiling all that is installed; it must be kept then.
unset PYTHONDONTWRITEBYTECODE

_mentor_say() { printf 'mentor: %s\n' "$*" >&2; }

# The newest Python that the project supports and that can make an environment. Shims that stand for no Python fail.
_mentor_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3 python; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      >/dev/null 2>&1; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

_mentor_has_nvidia() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; }

_MENTOR_CPU_INDEX=https://download.pytorch.org/whl/cpu

# $1: a python. Succeeds when the CPU index answers within three seconds.
_mentor_cpu_index_answers() {
  "$1" - "$_MENTOR_CPU_INDEX/torch/" >/dev/null 2>&1 <<'PY'
import os, sys, threading, urllib.request
threading.Timer(3, os._exit, [1]).start()
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=3).close()
os._exit(0)
PY
}

# $1: a python in an environment of its own; $2: constraints.txt, or /dev/null for none; the rest: what to install, as
# pip takes it.
# torch goes first, so that only torch is ever looked for on the extra index.
mentor_install() {
  local python=$1 constraints=$2
  shift 2
  local pip=("$python" -m pip --disable-pip-version-check install -qq --no-compile --constraint "$constraints")
  if [ "$(uname -s)" = Linux ] && ! _mentor_has_nvidia; then
    if _mentor_cpu_index_answers "$python"; then
      _mentor_say "installing torch (CPU build; no NVIDIA device here)"
      "${pip[@]}" --extra-index-url "$_MENTOR_CPU_INDEX" torch || return 1
    else
      _mentor_say "installing torch (from the default index: $_MENTOR_CPU_INDEX does not answer)"
      "${pip[@]}" torch || return 1
    fi
  fi
  _mentor_say "installing ${*: -1} and its dependencies (a minute or two the first time)"
  "${pip[@]}" "$@"
}

_mentor_env() {
  local root=$1 extra=$2 venv=$1/.venv constraints=$1/constraints.txt python stamp target=$1
  stamp=$(cat "$root/pyproject.toml" "$constraints" | cksum | tr -c '0-9\n' -)
  case $extra in
    '' | dev) ;;
    newest)
      # without versions to keep to, an empty environment is the way to the newest of all
      venv=$root/.venv-newest constraints=/dev/null extra=dev stamp=$stamp-$(date +%F)
      [ -e "$venv/.mentor-$stamp-dev" ] || rm -rf "$venv"
      ;;
    *)
      _mentor_say "error: source scripts/env.sh takes 'dev', 'newest' or nothing, got '$extra'"
      return 1
      ;;
  esac

  # An environment knows its own path, so one that came along with a copied folder is made anew.
  if ! grep -qsF "$venv" "$venv/bin/activate" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    if ! python=$(_mentor_python); then
      _mentor_say "error: no Python 3.11, 3.12 or 3.13 (with venv and ensurepip) found on PATH; install one"
      return 1
    fi
    _mentor_say "making ${venv##*/} with $("$python" --version)"
    "$python" -m venv --clear "$venv" || return 1
  fi

  # What `dev` installs holds all that running needs.
  if [ ! -e "$venv/.mentor-$stamp-dev" ] && { [ -n "$extra" ] || [ ! -e "$venv/.mentor-$stamp-" ]; }; then
    [ -n "$extra" ] && target="${root}[$extra]"
    mentor_install "$venv/bin/python" "$constraints" --editable "$target" || {
      _mentor_say "error: the installation failed; what pip says is above"
      return 1
    }
    rm -f "$venv"/.mentor-*
    : >"$venv/.mentor-$stamp-$extra"
    _mentor_say "ready"
  fi
  # shellcheck disable=SC1091
  . "$venv/bin/activate"
}

_mentor_env "$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)" "${1:-}"
