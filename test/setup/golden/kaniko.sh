#!/bin/sh
# Sets up for Layover: kaniko. Run it as root; --undo puts everything back.
# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store
# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.
set -eu
umask 022
client='kaniko'
doors='hijack mirror'
for_elsewhere=yes
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
  show 'The CA certificate, in the namespace of the builds' <<'LAYOVER'
apiVersion: v1
kind: ConfigMap
metadata:
  name: layover-ca
  labels: { layover/ca: "<hash>" }
data:
  layover.crt: |
    <certificate>
    <certificate>
LAYOVER
  show 'The pod' <<'LAYOVER'
apiVersion: v1
kind: Pod
metadata: { name: kaniko }
spec:
  dnsPolicy: None
  dnsConfig: { nameservers: ["10.0.0.5"] }
  containers:
    - name: kaniko
      image: gcr.io/kaniko-project/executor
      args:
        - --dockerfile=Dockerfile
        - --context=dir:///workspace
        - --destination=ghcr.io/acme/app:1
      volumeMounts:
        - { name: layover-ca, mountPath: /kaniko/ssl/certs/layover.crt, subPath: layover.crt }
  volumes:
    - { name: layover-ca, configMap: { name: layover-ca } }
LAYOVER
  note 'Names of the cluster'\''s own are not found so: give Layover'\''s `resolvers` a rule for cluster.local, or take --door mirror.'
  note 'kaniko is archived since 2025: its forks take the same flags.'
}

guard_mirror() {
  :
}

plan_mirror() {
  show 'The CA certificate, in the namespace of the builds' <<'LAYOVER'
apiVersion: v1
kind: ConfigMap
metadata:
  name: layover-ca
  labels: { layover/ca: "<hash>" }
data:
  layover.crt: |
    <certificate>
    <certificate>
LAYOVER
  show 'The pod (hostAliases are needed only where the cluster'\''s DNS does not know Layover'\''s name)' <<'LAYOVER'
apiVersion: v1
kind: Pod
metadata: { name: kaniko }
spec:
  hostAliases: [{ ip: "10.0.0.5", hostnames: ["layover"] }]
  containers:
    - name: kaniko
      image: gcr.io/kaniko-project/executor
      args:
        - --dockerfile=Dockerfile
        - --context=dir:///workspace
        - --destination=ghcr.io/acme/app:1
        - --registry-mirror=layover
        - "--registry-map=ghcr.io=layover/ghcr.io"
      volumeMounts:
        - { name: layover-ca, mountPath: /kaniko/ssl/certs/layover.crt, subPath: layover.crt }
  volumes:
    - { name: layover-ca, configMap: { name: layover-ca } }
LAYOVER
  note 'Pushes go to the registries themselves. Without --skip-default-registry-fallback so do pulls that Layover has no answer for.'
  note 'kaniko is archived since 2025: its forks take the same flags.'
}
