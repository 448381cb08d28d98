#!/usr/bin/env bash
# Makes .venv with the pinned dependencies. Does nothing when they are there already.
# Usage: scripts/setup.sh [dev]
set -euo pipefail
cd "$(dirname "$0")/.."

want=(requirements-build.lock requirements.lock)
[ "${1:-}" = dev ] && want+=(requirements-dev.lock)
venv=.venv
python=""
for candidate in "${PYTHON:-}" python3.14 python3.13 python3.12 python3.11 python3 python; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Leima needs Python 3.11 or newer. Install it, or name it: make demo PYTHON=/path/to/python3" >&2
  exit 1
fi

# One set-up at a time: 'make demo' and 'make test' may be started side by side.
# mkdir is the lock that every Unix has; a lock left by a killed set-up is taken over.
# One without a pid for ten seconds belongs to nobody: it was killed before it could write it.
lock=.venv.lock
nameless=0 told=""
until mkdir "$lock" 2>/dev/null; do
  owner=$(cat "$lock/pid" 2>/dev/null || true)
  if [ -n "$owner" ]; then
    if ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; continue; fi
    [ -n "$told" ] || echo "Waiting for another set-up (pid $owner) …" >&2
    told=yes nameless=0
  else
    nameless=$((nameless + 1))
    if [ "$nameless" -gt 10 ]; then rm -rf "$lock"; continue; fi
  fi
  sleep 1
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT

"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  rm -rf "$venv"
  if ! "$python" -m venv "$venv"; then
    rm -rf "$venv"
    echo "Python could not make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
}
for file in "${want[@]}"; do
  mark=$venv/.installed-$file
  cmp -s "$file" "$mark" && continue
  echo "Installing from $file (the first time takes a minute) …"
  # wallet-py3k is published as source only; the build tools come from requirements-build.lock.
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --require-hashes --no-build-isolation -r "$file"
  cp "$file" "$mark"
done
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
[ -f "$site/leima.pth" ] && [ "$(cat "$site/leima.pth")" = "$PWD" ] || echo "$PWD" >"$site/leima.pth"
if [ ! -x "$venv/bin/leima" ]; then
  printf '#!/bin/sh\nexec "$(dirname "$0")/python" -m app.cli "$@"\n' >"$venv/bin/leima"
  chmod +x "$venv/bin/leima"
fi
