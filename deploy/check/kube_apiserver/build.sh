#!/usr/bin/env bash
# Build the API server that checks our manifests, once, into the cache folder; print its path.
#
#   deploy/check/kube_apiserver/build.sh          about four minutes on two cores, 0.1 GB
#
# go.mod and go.sum pin the version and the checksums of all that goes in. No kubelet comes with it: it takes
# or refuses objects, and starts nothing.
# EXOSHARD_CACHE  where the program is kept, by default ~/.cache/exoshard
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${HOME:=$(cd ~ && pwd)}" # unset in some containers
cache=${EXOSHARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exoshard}

say() { printf 'kube_apiserver: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

version=$(sed -n 's/^\(require \)\{0,1\}[[:space:]]*k8s\.io\/kubernetes \(v[0-9.]*\).*/\2/p' "$here/go.mod")
[ -n "$version" ] || die "$here/go.mod: found no k8s.io/kubernetes, wanted its version"
folder=$cache/kube-apiserver/$version
server=$folder/kube-apiserver
[ -x "$server" ] && { echo "$server"; exit 0; }

command -v go >/dev/null || die "found no go, wanted Go 1.23 or newer to build kube-apiserver $version"
say "building kube-apiserver $version (about four minutes on two cores, once)"
mkdir -p "$folder"
partial=$(mktemp -d "$folder/.partial-XXXXXX")
trap 'rm -rf "$partial"' EXIT
numbers=${version#v}
stamp="-X k8s.io/component-base/version.gitVersion=$version"
stamp+=" -X k8s.io/component-base/version.gitMajor=${numbers%%.*}"
numbers=${numbers#*.}
stamp+=" -X k8s.io/component-base/version.gitMinor=${numbers%%.*}"
cd "$here"
go build -mod=readonly -trimpath -ldflags "-s -w $stamp" -o "$partial/kube-apiserver" \
    k8s.io/kubernetes/cmd/kube-apiserver >&2 || die "the build failed; the lines above say why"
mv "$partial/kube-apiserver" "$server" # a build that was killed leaves nothing at this name
echo "$server"
