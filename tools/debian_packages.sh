#!/usr/bin/env bash
# Install the named Debian packages whose program or file is missing: PACKAGE:PROGRAM-OR-PATTERN …
set -euo pipefail

missing=()
for pair in "$@"; do
  package=${pair%%:*} sign=${pair#*:}
  case $sign in
    /*) compgen -G "$sign" >/dev/null || missing+=("$package") ;;
    *) command -v "$sign" >/dev/null || missing+=("$package") ;;
  esac
done
if [ ${#missing[@]} = 0 ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]} (tests that need them will skip; AF_REQUIRE makes that a failure)"
  exit 0
fi
echo "Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  # the package would make and start a cluster of its own
  mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
