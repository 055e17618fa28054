# One image for worker, record, Flower and sandbox; the command says which.
FROM python:3.11-slim AS build
# Installed from outside (PIP_PYTHON), so that /opt/venv has neither pip nor setuptools.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements.lock ./
RUN pip install -c requirements.lock setuptools
COPY pyproject.toml README.md celeryconfig.py ./
COPY worker ./worker
COPY tasks ./tasks
COPY venues ./venues
# Exactly the locked versions, and of those only what runs.
RUN pip install --no-build-isolation -c requirements.lock ".[flower,hyperliquid,postgres,sandbox]" \
 && pip uninstall --yes setuptools

FROM python:3.11-slim
RUN groupadd --gid 10001 cancel \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin cancel
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY flowerconfig.py ./
# By number: Kubernetes (runAsNonRoot) does not believe a name.
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "worker", "worker", "-n", "worker@%h"]
