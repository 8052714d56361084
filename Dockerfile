# syntax=docker/dockerfile:1
# Pin it by digest where you build: --build-arg BASE=registry.access.redhat.com/ubi9/ubi-minimal@sha256:…
ARG BASE=registry.access.redhat.com/ubi9/ubi-minimal:9.6

# The base image's release fixes its packages' versions.
FROM ${BASE} AS build
# hadolint ignore=DL3041
RUN microdnf install -y --nodocs --setopt=install_weak_deps=0 python3.12 python3.12-pip \
    python3.12-devel gcc \
 && microdnf clean all
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY gateway gateway
# The data path is compiled. The environment gets no pip of its own: the build's installs into it.
RUN HATCH_BUILD_HOOK_ENABLE_CUSTOM=true \
    python3.12 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python3.12 -m venv --without-pip /opt/gateway \
 && wheel="$(echo /wheels/*.whl)" \
 && python3.12 -m pip --python /opt/gateway/bin/python install --no-cache-dir "${wheel}[embedded]"

FROM ${BASE}
LABEL org.opencontainers.image.title="plangate" \
      org.opencontainers.image.description="An API gateway with plans and exact limits, in one program" \
      org.opencontainers.image.licenses="Apache-2.0" \
      io.k8s.display-name="plangate" \
      io.openshift.expose-services="8080:http,8081:http"
# Group 0 owns what is written, so that any user id in that group can run it (OpenShift's rule).
# hadolint ignore=DL3041
RUN microdnf install -y --nodocs --setopt=install_weak_deps=0 python3.12 \
 && microdnf clean all \
 && mkdir -p /etc/gateway/plans /var/lib/gateway \
 && chgrp -R 0 /etc/gateway /var/lib/gateway \
 && chmod -R g=u /etc/gateway /var/lib/gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/gateway
USER 1001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# No HEALTHCHECK: /healthz and /readyz on the admin listener are for the orchestrator's probes.
ENTRYPOINT ["gateway"]
CMD ["run", "/etc/gateway/plans"]
