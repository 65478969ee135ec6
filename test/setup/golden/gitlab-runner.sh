#!/bin/sh
# Sets up for Layover: GitLab Runner, Docker executor. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='gitlab-runner'
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
  show '/etc/gitlab-runner/config.toml, for dind services and jobs that pull by themselves; services get the runner'\''s volumes too' <<'LAYOVER'
[[runners]]
  [runners.docker]
    dns = ["10.0.0.5"]
    volumes = ["/etc/docker/certs.d:/etc/docker/certs.d:ro", "/cache"]
LAYOVER
  show 'The same on Kubernetes (executor kubernetes), with the config map of `layover setup kaniko`' <<'LAYOVER'
[[runners]]
  [runners.kubernetes]
    dns_policy = "none"
    [runners.kubernetes.dns_config]
      nameservers = ["10.0.0.5"]
    [[runners.kubernetes.volumes.config_map]]
      name = "layover-ca"
      mount_path = "/etc/docker/certs.d/docker.io/ca.crt"
      sub_path = "layover.crt"
    [[runners.kubernetes.volumes.config_map]]
      name = "layover-ca"
      mount_path = "/etc/docker/certs.d/ghcr.io/ca.crt"
      sub_path = "layover.crt"
LAYOVER
  note 'Add these lines to what is there; the runner reads its file again by itself. GitLab'\''s own TLS is not touched:'
  note '/etc/gitlab-runner/certs/<GitLab'\''s host>.crt is needed only where Layover stands in for that host.'
}
