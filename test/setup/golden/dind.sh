#!/bin/sh
# Sets up for Layover: Docker in Docker. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='dind'
doors='hijack mirror'
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
  head 'The CA certificate, on the machine where the containers run, to be mounted'
  trust '/etc/docker/certs.d/registry-1.docker.io'
  trust '/etc/docker/certs.d/index.docker.io'
  trust '/etc/docker/certs.d/ghcr.io'
  trust '/etc/docker/certs.d/docker.io'
  show 'docker run' <<'LAYOVER'
docker run --privileged --dns 10.0.0.5 -v /etc/docker/certs.d:/etc/docker/certs.d:ro docker:dind
LAYOVER
  show 'Docker Compose' <<'LAYOVER'
services:
  builder:
    image: docker:dind
    privileged: true
    dns: ["10.0.0.5"]
    volumes: ["/etc/docker/certs.d:/etc/docker/certs.d:ro"]
LAYOVER
  show 'Docker Compose with no DNS to change: Layover in the builders'\'' network has the names there' <<'LAYOVER'
services:
  layover:
    networks:
      default:
        aliases: [registry-1.docker.io, index.docker.io, ghcr.io]
LAYOVER
  note 'A dind older than 29 has Docker'\''s classic image store, which reads no certs.d for Docker Hub: give it --registry-mirror as'
  note '`--door mirror` shows, or the CA in the container'\''s own store before dockerd starts (update-ca-certificates).'
}

guard_mirror() {
  :
}

plan_mirror() {
  head 'Layover'\''s own name, and its CA certificate, on the machine where the containers run, to be mounted'
  host 'layover' '10.0.0.5'
  trust '/etc/docker/certs.d/layover'
  show 'docker run (for Docker Hub alone)' <<'LAYOVER'
docker run --privileged --add-host layover:10.0.0.5 -v /etc/docker/certs.d/layover:/etc/docker/certs.d/layover:ro docker:dind --registry-mirror https://layover
LAYOVER
}
