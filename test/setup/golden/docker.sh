#!/bin/sh
# Sets up for Layover: Docker Engine. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='docker'
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
  head 'The CA certificate, for Docker; no restart is needed'
  trust '/etc/docker/certs.d/registry-1.docker.io'
  trust '/etc/docker/certs.d/index.docker.io'
  trust '/etc/docker/certs.d/ghcr.io'
  trust '/etc/docker/certs.d/docker.io'
  note 'podman, buildah and skopeo read the same files. Rootless Docker: --user, for ~/.config/docker.'
  head 'The CA certificate, for the system'
  store 'Docker'\''s classic image store (`docker info` shows no `io.containerd.snapshotter`) reads no certs.d for Docker Hub, the system'\''s store alone' optional
  note 'With that store Docker has to be restarted once, for Docker Hub: systemctl restart docker'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
  note 'Docker'\''s own `dns` setting is for containers, not for pulls.'
}

guard_mirror() {
  :
}

plan_mirror() {
  head 'Layover'\''s own name, and its CA certificate'
  host 'layover' '10.0.0.5'
  trust '/etc/docker/certs.d/layover'
  head 'Docker with the containerd image store: every registry'
  ca | put '/etc/docker/certs.d/docker.io/layover.crt'
  shared '/etc/docker/certs.d/docker.io/hosts.toml' '[host."https://layover"]' <<'LAYOVER'
# Made by the set-up of Layover.
server = "https://registry-1.docker.io"

[host."https://layover"]
  capabilities = ["pull", "resolve"]
  ca = "layover.crt"
LAYOVER
  ca | put '/etc/docker/certs.d/ghcr.io/layover.crt'
  shared '/etc/docker/certs.d/ghcr.io/hosts.toml' '[host."https://layover"]' <<'LAYOVER'
# Made by the set-up of Layover.
server = "https://ghcr.io"

[host."https://layover"]
  capabilities = ["pull", "resolve"]
  ca = "layover.crt"
LAYOVER
  head 'Docker with the classic image store: Docker Hub, and nothing else'
  shared '/etc/docker/daemon.json' '"https://layover"' instead <<'LAYOVER'
{ "registry-mirrors": ["https://layover"] }
LAYOVER
  instead <<'LAYOVER'
"registry-mirrors": ["https://layover"]
LAYOVER
  reload 'docker'
  note 'Pushes go to the registries themselves. For the classic store and other registries: --door hijack.'
}

guard_proxy() {
  :
}

plan_proxy() {
  head 'The CA certificate, for Docker'
  trust '/etc/docker/certs.d/registry-1.docker.io'
  trust '/etc/docker/certs.d/index.docker.io'
  trust '/etc/docker/certs.d/ghcr.io'
  trust '/etc/docker/certs.d/docker.io'
  head 'The CA certificate, for the system'
  store 'Docker'\''s classic image store (`docker info` shows no `io.containerd.snapshotter`) reads no certs.d for Docker Hub, the system'\''s store alone' optional
  note 'With that store Docker has to be restarted once, for Docker Hub: systemctl restart docker'
  head 'The proxy, for docker'
  put '/etc/systemd/system/docker.service.d/layover.conf' <<'LAYOVER'
# Made by the set-up of Layover.
[Service]
Environment="HTTPS_PROXY=http://10.0.0.5:3128" "NO_PROXY=localhost,127.0.0.0/8,::1"
LAYOVER
  restart 'docker' 'docker reads its environment when it starts' drop-in
}
