#!/usr/bin/env bash
# Build helmfile from the Go module beside this file, once for each content of it; print where it is.
# It goes where the test cluster's programs are, and the tests find it there.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=${AF_KUBE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/analysis-facility/kube}/bin
# the last one is what the test cluster's builder fetches where Go is missing
export PATH="$PATH:/usr/local/go/bin$(printf ':%s' "$bin"/go*/go/bin)" GOTOOLCHAIN=local
command -v go >/dev/null || { echo "helmfile is built by Go 1.26 or later, which is not here" >&2; exit 1; }
version=$(go env GOVERSION)
key=$(cat "$here/go.mod" "$here/go.sum" <(echo "$version") | sha256sum | cut -c1-16)
target=$bin/helmfile-$key
mkdir -p "$bin"
# one builder at a time; the lock ends with its holder
exec 9>"$bin/helmfile.lock"
flock 9
if [ ! -x "$target/helmfile" ]; then
  rm -rf "$bin"/.helmfile-*
  half=$(mktemp -d "$bin/.helmfile-XXXXXX")
  trap 'rm -rf "$half"' EXIT
  echo "helmfile: not here yet, building (some minutes)" >&2
  (cd "$here" && CGO_ENABLED=0 GOFLAGS='' GOWORK=off \
    go build -mod=readonly -trimpath -buildvcs=false -p 2 -ldflags '-s -w' -o "$half/" tool)
  chmod 0755 "$half"
  mv "$half" "$target"
  trap - EXIT
fi
echo "$target/helmfile"
