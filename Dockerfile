# crysformer on a CPU, with servalcat for refinement:
#   docker build -t crysformer .
#   docker run --rm -v "$PWD:/data" crysformer solve data.mtz --sequence GNNQQNY -o solution
FROM python:3.12-slim
COPY . /opt/crysformer
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir '/opt/crysformer[build]' coot-headless-api \
    && rm -rf /opt/crysformer \
    && useradd --create-home crysformer
USER crysformer
WORKDIR /data
ENTRYPOINT ["crysformer"]
