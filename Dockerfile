# syntax=docker/dockerfile:1
# One image for the API, the worker and the migration; docker-compose.yml says which command each runs.

FROM node:24-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY schema/schema.graphql /build/schema/schema.graphql
COPY web/ ./
RUN npm run build

FROM python:3.11-slim AS packages
# With --build-arg REQUIREMENTS=requirements-traces.lock the image can send traces.
ARG REQUIREMENTS=requirements.lock
COPY requirements.lock requirements-traces.lock /build/
RUN python -m venv /opt/packages \
 && /opt/packages/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r "/build/$REQUIREMENTS" \
 && /opt/packages/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
# A numeric user, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hookline \
 && printf '#!/opt/packages/bin/python\nfrom cli.__main__ import main\n\nmain()\n' > /usr/local/bin/hookline \
 && chmod 755 /usr/local/bin/hookline
# HOOKLINE_HOST: the loopback address of a container cannot be reached from outside.
ENV PATH=/opt/packages/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOOKLINE_HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /opt/packages /opt/packages
COPY LICENSE ./
COPY domain/ domain/
COPY schema/ schema/
COPY api/ api/
COPY workers/ workers/
COPY cli/ cli/
COPY --from=web /build/web/dist web/dist/
# COPY keeps the permissions of the files, which may be for their owner alone.
RUN chmod -R a+rX /app \
 && /opt/packages/bin/python -m compileall -q /app /opt/packages
USER 10001
EXPOSE 8000
CMD ["hookline", "api"]
