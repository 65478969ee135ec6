# Builds without Layover as it stands, and through it with --build-arg REGISTRY=layover.internal/docker.io
ARG REGISTRY=docker.io
FROM ${REGISTRY}/library/busybox:latest
LABEL org.opencontainers.image.title="built through a registry of the builder's choice"
