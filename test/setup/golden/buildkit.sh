#!/bin/sh
# Sets up for Layover: BuildKit (buildkitd, buildx). Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='buildkit'
doors='hijack mirror proxy'
for_elsewhere=no
asked='registry-1.docker.io index.docker.io ghcr.io auth.docker.io'
dns='10.0.0.5'
port='53'
fingerprints='<fingerprint 1> <fingerprint 2>'

ca() {
  cat <<'LAYOVER'
<certificate>
<certificate>
LAYOVER
}

guard_hijack() {
  :
}

plan_hijack() {
  head 'buildkitd'\''s configuration, and the CA certificate that it names'
  ca | put '/etc/buildkit/layover.crt'
  shared '/etc/buildkit/buildkitd.toml' '/etc/buildkit/layover.crt' instead <<'LAYOVER'
# Made by the set-up of Layover.

[registry."docker.io"]
  ca = ["/etc/buildkit/layover.crt"]

[registry."ghcr.io"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  instead <<'LAYOVER'
[registry."docker.io"]
  ca = ["/etc/buildkit/layover.crt"]

[registry."ghcr.io"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  restart 'buildkit' 'buildkitd reads its configuration when it starts'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
  show 'A builder of buildx in a container (driver docker-container); it gets the files of this machine' <<'LAYOVER'
docker buildx create --name layover --driver docker-container --driver-opt network=host --buildkitd-config /etc/buildkit/buildkitd.toml
LAYOVER
  note 'Its resolver is that of its container: `network=host` gives it this machine'\''s. `[dns]` in buildkitd.toml is for build steps only.'
  note 'buildctl and buildx ask token servers themselves: a realm that is stood in for has to be trusted by their machine too.'
}

guard_mirror() {
  :
}

plan_mirror() {
  head 'Layover'\''s own name'
  host 'layover' '10.0.0.5'
  head 'buildkitd'\''s configuration, and the CA certificate that it names'
  ca | put '/etc/buildkit/layover.crt'
  shared '/etc/buildkit/buildkitd.toml' 'mirrors = ["layover"]' instead <<'LAYOVER'
# Made by the set-up of Layover.

[registry."docker.io"]
  mirrors = ["layover"]

[registry."ghcr.io"]
  mirrors = ["layover"]

[registry."layover"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  instead <<'LAYOVER'
[registry."docker.io"]
  mirrors = ["layover"]

[registry."ghcr.io"]
  mirrors = ["layover"]

[registry."layover"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  restart 'buildkit' 'buildkitd reads its configuration when it starts'
  show 'A builder of buildx in a container (driver docker-container); it gets the files of this machine' <<'LAYOVER'
docker buildx create --name layover --driver docker-container --driver-opt network=host --buildkitd-config /etc/buildkit/buildkitd.toml
LAYOVER
  note 'Its resolver is that of its container: `network=host` gives it this machine'\''s. `[dns]` in buildkitd.toml is for build steps only.'
  note 'Pushes go to the registries themselves.'
}

guard_proxy() {
  :
}

plan_proxy() {
  head 'buildkitd'\''s configuration, and the CA certificate that it names'
  ca | put '/etc/buildkit/layover.crt'
  shared '/etc/buildkit/buildkitd.toml' '/etc/buildkit/layover.crt' instead <<'LAYOVER'
# Made by the set-up of Layover.

[registry."docker.io"]
  ca = ["/etc/buildkit/layover.crt"]

[registry."ghcr.io"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  instead <<'LAYOVER'
[registry."docker.io"]
  ca = ["/etc/buildkit/layover.crt"]

[registry."ghcr.io"]
  ca = ["/etc/buildkit/layover.crt"]
LAYOVER
  restart 'buildkit' 'buildkitd reads its configuration when it starts'
  head 'The proxy, in buildkitd'\''s environment'
  note 'HTTPS_PROXY=http://10.0.0.5:3128'
  show 'A builder of buildx in a container (driver docker-container); it gets the files of this machine' <<'LAYOVER'
docker buildx create --name layover --driver docker-container --driver-opt env.HTTPS_PROXY=http://10.0.0.5:3128 --buildkitd-config /etc/buildkit/buildkitd.toml
LAYOVER
  note 'Its resolver is that of its container: `network=host` gives it this machine'\''s. `[dns]` in buildkitd.toml is for build steps only.'
}
