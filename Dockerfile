# For Hugging Face Spaces and any other host of containers; docs/hosting.md says how.
FROM node:20.20.2-bookworm-slim@sha256:2cf067cfed83d5ea958367df9f966191a942351a2df77d6f0193e162b5febfc0 AS client
COPY device/package.json device/package-lock.json device/.npmrc /client/
RUN cd /client && npm ci --omit=dev && gzip -k node_modules/onnxruntime-web/dist/*.wasm \
    node_modules/@litertjs/core/wasm/*.wasm

FROM python:3.11.17-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89

# Spaces run a container as this user, and look at this port.
RUN useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user/app

# TORCH=cpu takes PyTorch without CUDA from the index that uv knows, or that PIP_EXTRA_INDEX_URL names: 3 GB less to
# download and to keep. The lock has the hashes of the usual build.
ARG TORCH
ARG PIP_EXTRA_INDEX_URL
COPY --chown=user requirements.txt requirements.lock ./
RUN python -m venv /home/user/venv
ENV VIRTUAL_ENV=/home/user/venv PATH=/home/user/venv/bin:$PATH
RUN if [ "$TORCH" = cpu ] && pip install --no-cache-dir uv==0.13.8 \
        && uv pip install --no-cache --torch-backend cpu -r requirements.txt; then exit; fi; \
    if [ "$PIP_EXTRA_INDEX_URL" ]; then all="-r requirements.txt"; else all="--require-hashes -r requirements.lock"; fi \
    && pip install --no-cache-dir $all
COPY --chown=user . .
COPY --chown=user --from=client /client/node_modules device/node_modules

ENV DEIT_DEPLOY_HOME=/home/user/.cache/deit-deploy \
    DEIT_DEPLOY_FRAMED_BY=https://huggingface.co \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE=true

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/_stcore/health', timeout=8)"]
CMD ["streamlit", "run", "streamlit_app.py", "--server.address", "0.0.0.0", "--server.port", "7860"]
