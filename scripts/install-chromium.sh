#!/usr/bin/env bash
# Makes sure that a Chromium is there for the browser tests. Never fails: without one those tests are skipped, loudly.
set -u
for name in "${LEIMA_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome; do
  [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && exit 0
done
if command -v apt-get >/dev/null 2>&1; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || { sudo -n true 2>/dev/null && sudo="sudo -n"; }
  if [ "$(id -u)" -eq 0 ] || [ -n "$sudo" ]; then
    echo "Installing Chromium for the browser tests …"
    if $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq chromium fonts-noto-core >/dev/null; then
      exit 0
    fi
  fi
fi
echo "WARNING: no Chromium found, and it could not be installed: the browser tests will be SKIPPED." >&2
echo "         On Debian or Ubuntu: sudo apt-get install chromium. Elsewhere: set LEIMA_TEST_CHROMIUM to its path." >&2
exit 0
