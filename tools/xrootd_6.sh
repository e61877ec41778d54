#!/usr/bin/env bash
# Build a root file system with XRootD 6 from Debian sid, for `make test-xrootd-6`.
# It goes into the cache folder, since Debian 12 carries 5.5.3; root and mmdebstrap are needed.
set -euo pipefail

packages=xrootd-server,xrootd-server-plugins,xrootd-client,xrootd-plugins,xrootd-client-plugins
packages+=,xrootd-scitokens-plugins,scitokens-cpp,ca-certificates
cache=${XDG_CACHE_HOME:-$HOME/.cache}/analysis-facility
target=$cache/xrootd-6
if [ -x "$target/usr/bin/xrootd" ]; then
  echo "$target"
  exit 0
fi
if ! command -v mmdebstrap >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi
# the mirror that this machine uses already
mirror=$(apt-get indextargets --format '$(REPO_URI)' | awk '!/security/ && !seen++')
mkdir -p "$cache"
half=$(mktemp -d "$cache/.xrootd-6-XXXXXX")
trap 'rm -rf "$half"' EXIT
# snapshots of sid are past their date; xrootd needs no recommended package
mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
  --include="$packages" sid "$half" "$mirror" >&2
chmod 0755 "$half"
# what the launcher shows there has to exist
touch "$half/etc/hosts"
mv "$half" "$target"
trap - EXIT
echo "$target"
