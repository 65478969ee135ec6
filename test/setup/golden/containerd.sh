#!/bin/sh
# Sets up for Layover: containerd. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='containerd'
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
  head 'The CA certificate, for containerd; a hosts.toml in the same folder would hide it'
  trust '/etc/containerd/certs.d/registry-1.docker.io'
  trust '/etc/containerd/certs.d/index.docker.io'
  trust '/etc/containerd/certs.d/ghcr.io'
  trust '/etc/containerd/certs.d/docker.io'
  head 'The folder, for the CRI plug-in (ctr takes --hosts-dir, nerdctl looks there by itself)'
  shared '/etc/containerd/config.toml' '/etc/containerd/certs.d' instead <<'LAYOVER'
# Made by the set-up of Layover.
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  instead <<'LAYOVER'
where it says version = 2 (containerd 1):
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
where it says version = 3 or more (containerd 2):
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  note 'After a change of config.toml, and only then: systemctl restart containerd (containers go on). Later files are read at each pull.'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
}

guard_mirror() {
  :
}

plan_mirror() {
  head 'Layover'\''s own name'
  host 'layover' '10.0.0.5'
  head 'Where to ask first for each registry'
  ca | put '/etc/containerd/certs.d/docker.io/layover.crt'
  shared '/etc/containerd/certs.d/docker.io/hosts.toml' '[host."https://layover"]' <<'LAYOVER'
# Made by the set-up of Layover.
server = "https://registry-1.docker.io"

[host."https://layover"]
  capabilities = ["pull", "resolve"]
  ca = "layover.crt"
LAYOVER
  ca | put '/etc/containerd/certs.d/ghcr.io/layover.crt'
  shared '/etc/containerd/certs.d/ghcr.io/hosts.toml' '[host."https://layover"]' <<'LAYOVER'
# Made by the set-up of Layover.
server = "https://ghcr.io"

[host."https://layover"]
  capabilities = ["pull", "resolve"]
  ca = "layover.crt"
LAYOVER
  head 'The folder, for the CRI plug-in (ctr takes --hosts-dir, nerdctl looks there by itself)'
  shared '/etc/containerd/config.toml' '/etc/containerd/certs.d' instead <<'LAYOVER'
# Made by the set-up of Layover.
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  instead <<'LAYOVER'
where it says version = 2 (containerd 1):
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
where it says version = 3 or more (containerd 2):
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  note 'After a change of config.toml, and only then: systemctl restart containerd (containers go on). Later files are read at each pull.'
  note 'Pushes go to the registries themselves, and so do pulls that Layover has no answer for.'
}

guard_proxy() {
  :
}

plan_proxy() {
  head 'The CA certificate, for containerd; a hosts.toml in the same folder would hide it'
  trust '/etc/containerd/certs.d/registry-1.docker.io'
  trust '/etc/containerd/certs.d/index.docker.io'
  trust '/etc/containerd/certs.d/ghcr.io'
  trust '/etc/containerd/certs.d/docker.io'
  head 'The folder, for the CRI plug-in (ctr takes --hosts-dir, nerdctl looks there by itself)'
  shared '/etc/containerd/config.toml' '/etc/containerd/certs.d' instead <<'LAYOVER'
# Made by the set-up of Layover.
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  instead <<'LAYOVER'
where it says version = 2 (containerd 1):
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
where it says version = 3 or more (containerd 2):
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
LAYOVER
  note 'After a change of config.toml, and only then: systemctl restart containerd (containers go on). Later files are read at each pull.'
  head 'The proxy, for containerd'
  put '/etc/systemd/system/containerd.service.d/layover.conf' <<'LAYOVER'
# Made by the set-up of Layover.
[Service]
Environment="HTTPS_PROXY=http://10.0.0.5:3128" "NO_PROXY=localhost,127.0.0.0/8,::1"
LAYOVER
  restart 'containerd' 'containerd reads its environment when it starts' drop-in
}
