#!/bin/sh
# Sets up for Layover: podman, buildah, skopeo, CRI-O. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='podman'
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
  head 'The CA certificate, for podman, buildah, skopeo and CRI-O'
  trust '/etc/containers/certs.d/registry-1.docker.io' '/etc/docker/certs.d/registry-1.docker.io'
  trust '/etc/containers/certs.d/index.docker.io' '/etc/docker/certs.d/index.docker.io'
  trust '/etc/containers/certs.d/ghcr.io' '/etc/docker/certs.d/ghcr.io'
  trust '/etc/containers/certs.d/docker.io' '/etc/docker/certs.d/docker.io'
  note 'For a user who has ~/.config/containers/certs.d/<registry> that alone counts: rootless podman, --user.'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
}

guard_mirror() {
  guard '/etc/containers/registries.conf' '^[[:space:]]*\[registries\.' '/etc/containers/registries.conf is of version 1 of its format, which nothing can be added to'
}

plan_mirror() {
  head 'Layover'\''s own name, and its CA certificate'
  host 'layover' '10.0.0.5'
  trust '/etc/containers/certs.d/layover' '/etc/docker/certs.d/layover'
  head 'Where to ask first for each registry'
  put '/etc/containers/registries.conf.d/50-layover.conf' <<'LAYOVER'
# Made by the set-up of Layover.
[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "layover/docker.io"

[[registry]]
prefix = "ghcr.io"
location = "ghcr.io"

[[registry.mirror]]
location = "layover/ghcr.io"
LAYOVER
  note 'It stands in place of what registries.conf says about the same prefixes. CRI-O: systemctl reload crio.'
  note 'Pushes go to the registries themselves, and so do pulls that Layover has no answer for.'
}

guard_proxy() {
  :
}

plan_proxy() {
  head 'The CA certificate, for podman, buildah, skopeo and CRI-O'
  trust '/etc/containers/certs.d/registry-1.docker.io' '/etc/docker/certs.d/registry-1.docker.io'
  trust '/etc/containers/certs.d/index.docker.io' '/etc/docker/certs.d/index.docker.io'
  trust '/etc/containers/certs.d/ghcr.io' '/etc/docker/certs.d/ghcr.io'
  trust '/etc/containers/certs.d/docker.io' '/etc/docker/certs.d/docker.io'
  note 'For a user who has ~/.config/containers/certs.d/<registry> that alone counts: rootless podman, --user.'
  head 'The proxy, for podman and buildah'
  put '/etc/containers/containers.conf.d/50-layover.conf' <<'LAYOVER'
# Made by the set-up of Layover.
[engine]
env = ["HTTPS_PROXY=http://10.0.0.5:3128"]
LAYOVER
  note 'skopeo: HTTPS_PROXY=http://10.0.0.5:3128 in its environment. CRI-O: the same in a drop-in of its service.'
}
