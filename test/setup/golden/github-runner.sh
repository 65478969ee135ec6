#!/bin/sh
# Sets up for Layover: GitHub Actions, self-hosted runner. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='github-runner'
doors='hijack'
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
  head 'For actions in JavaScript, which ask registries themselves'
  ca | put '/etc/layover/ca.crt'
  show 'The file .env in the runner'\''s folder, and then a restart of the runner' <<'LAYOVER'
NODE_EXTRA_CA_CERTS=/etc/layover/ca.crt
LAYOVER
  show 'In workflows: jobs in containers, and builders of buildx' <<'LAYOVER'
jobs:
  build:
    runs-on: self-hosted
    container:
      image: ubuntu
      options: --dns 10.0.0.5 -v /etc/layover/ca.crt:/etc/layover/ca.crt:ro
    steps:
      - uses: docker/setup-buildx-action@v3
        with:
          driver-opts: network=host
          buildkitd-config: /etc/buildkit/buildkitd.toml
LAYOVER
  note 'buildkitd.toml is made by `layover setup buildkit`. Runners that GitHub hosts cannot reach Layover.'
}
