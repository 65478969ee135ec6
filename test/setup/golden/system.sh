#!/bin/sh
# Sets up for Layover: This machine: the system's store, and DNS. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='system'
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
  head 'The CA certificate, for the system'
  store 'Programs in Go, curl, git and most others read it; those that run already see it when they are started again'
  ca | put '/etc/layover/ca.crt'
  head 'What does not read the system'\''s store'
  note 'Node: NODE_EXTRA_CA_CERTS=/etc/layover/ca.crt   (added to its own roots)'
  note 'Python'\''s requests, pip: REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt   (in place of its own: name the system'\''s whole bundle)'
  note 'SSL_CERT_FILE, CURL_CA_BUNDLE: in place of the system'\''s store. Where they are set, that file needs the CA too.'
  note 'Java: keytool -importcert -cacerts -noprompt -alias layover -file /etc/layover/ca.crt   (one certificate; Debian'\''s Java reads the store)'
  head 'DNS: this host asks Layover, and nobody beside it'
  resolver
}
