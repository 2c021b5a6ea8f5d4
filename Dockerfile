# Kodiai in a container: web server, worker and commands alike. docs/container.md says how to use it.
#
#   docker build -t kodiai .
#   docker run --init --read-only --tmpfs /tmp --memory 2g --pids-limit 512 -v kodiai:/app/var -p 127.0.0.1:8000:8000 --env-file .env kodiai

# By digest, so that every build has the same base. A new one: docker buildx imagetools inspect python:3.13-slim-bookworm
ARG PYTHON=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM $PYTHON AS build
# requirements/llm.txt adds what a language model needs, otel.txt traces too.
ARG REQUIREMENTS=requirements/base.txt
WORKDIR /app
COPY requirements/base.txt requirements/llm.txt requirements/otel.txt requirements/build.txt requirements/uv.txt requirements/
# Every file that is installed has the hash of the lock. One package has no wheel; what builds it is locked too.
RUN python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/uv.txt \
    && python -m venv --without-pip /app/.venv \
    && /opt/uv/bin/uv pip sync --python /app/.venv/bin/python --no-cache --require-hashes \
        --only-binary :all: --no-binary crontab --build-constraints requirements/build.txt "$REQUIREMENTS" \
    && rm -r requirements
COPY manage.py LICENSE ./
COPY kodiai kodiai
COPY telemetry telemetry
COPY reviews reviews
# The file system is read-only later: bytecode that is not written now never is.
RUN /app/.venv/bin/python -m compileall -q -j 0 /app && mkdir /app/var

FROM $PYTHON
# Nothing in here installs or builds anything.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && rm -rf /usr/local/lib/python3.13/ensurepip \
    && groupadd --system --gid 10001 kodiai \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin kodiai
COPY --from=build /app /app
RUN chown 10001:10001 /app/var
WORKDIR /app
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KODIAI_ENV_FILE=/dev/null \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001:10001
VOLUME ["/app/var"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["python", "manage.py", "run"]
