# docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) --build-arg BUILT=$(date -u +%FT%TZ) -t qlite .
# docker run -p 127.0.0.1:8080:8080 -v qlite:/data qlite
#
# Migrates and serves on port 8080 of the container. Everything that is to be kept is in /data. The health check asks for the
# host 127.0.0.1: keep that in QLITE_ALLOWED_HOSTS.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements/base.txt requirements/
RUN pip install --require-hashes --only-binary=:all: -r requirements/base.txt
COPY pyproject.toml README.md LICENSE manage.py ./
COPY accounts accounts
COPY proxy proxy
COPY qlite_site qlite_site
COPY routing routing
COPY templates templates
# No command of qlite runs here: its settings would make secrets, and one image would give all its users the same. Static
# files need no collecting, they are served from where they are.
RUN pip install --no-deps --no-build-isolation -e . && python -m compileall -q .
ARG COMMIT=unknown
ARG BUILT=unknown
RUN printf '{"commit": "%s", "built": "%s"}\n' "$COMMIT" "$BUILT" > BUILD

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin qlite && install -d -o qlite -g qlite /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    QLITE_DATA_DIR=/data \
    QLITE_BIND=0.0.0.0:8080 \
    QLITE_PUBLIC_URL=http://127.0.0.1:8080
WORKDIR /app
USER qlite
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
# Running answers may go on for QLITE_DRAIN_TIMEOUT: stop with `docker stop --time 60`.
CMD ["sh", "-c", "qlite setup && exec qlite serve"]
