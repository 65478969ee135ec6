#!/bin/sh
# Sets up for Layover: k3s, RKE2. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='k3s'
doors='mirror hijack'
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

guard_mirror() {
  :
}

plan_mirror() {
  head 'Layover'\''s own name'
  host 'layover' '10.0.0.5'
  head 'registries.yaml, and the CA certificate that it names (RKE2: the same in /etc/rancher/rke2)'
  ca | put '/etc/rancher/k3s/layover.crt'
  shared '/etc/rancher/k3s/registries.yaml' 'https://layover' instead <<'LAYOVER'
# Made by the set-up of Layover.
mirrors:
  "docker.io":
    endpoint:
      - "https://layover"
  "ghcr.io":
    endpoint:
      - "https://layover"
configs:
  "layover":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
LAYOVER
  instead <<'LAYOVER'
mirrors:
  "docker.io":
    endpoint:
      - "https://layover"
  "ghcr.io":
    endpoint:
      - "https://layover"
configs:
  "layover":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
LAYOVER
  restart 'k3s' 'k3s reads it when it starts (on nodes that are agents alone, the unit is k3s-agent); pods go on'
  note 'What Layover has no answer for is asked of the registry itself, unless k3s runs with --disable-default-registry-endpoint.'
}

guard_hijack() {
  :
}

plan_hijack() {
  head 'registries.yaml, and the CA certificate that it names (RKE2: the same in /etc/rancher/rke2)'
  ca | put '/etc/rancher/k3s/layover.crt'
  shared '/etc/rancher/k3s/registries.yaml' '/etc/rancher/k3s/layover.crt' instead <<'LAYOVER'
# Made by the set-up of Layover.
configs:
  "docker.io":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
  "ghcr.io":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
LAYOVER
  instead <<'LAYOVER'
configs:
  "docker.io":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
  "ghcr.io":
    tls:
      ca_file: /etc/rancher/k3s/layover.crt
LAYOVER
  restart 'k3s' 'k3s reads it when it starts (on nodes that are agents alone, the unit is k3s-agent); pods go on'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
}
