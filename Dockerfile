# One image for worker, beat, api and the korvai command; compose.yaml says which of them a container is.
FROM python:3.11-slim AS packages
WORKDIR /build
RUN python -m venv /opt/korvai
ENV PATH=/opt/korvai/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The lock file changes less often than the code: its layer is built once.
COPY requirements.lock .
RUN pip install --require-hashes --no-deps -r requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
# DGL and torch are built with OpenMP.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 korvai \
    && install --directory --owner korvai --group korvai /var/lib/korvai /var/lib/korvai/home /var/lib/korvai/store
COPY --from=packages /opt/korvai /opt/korvai
ENV PATH=/opt/korvai/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER korvai
WORKDIR /var/lib/korvai
CMD ["korvai", "--help"]
