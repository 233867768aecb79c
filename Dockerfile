# tsh, tctl and teleport on a small image, with psql beside them:
#
#   docker build -t teleshift .
#   docker run --rm -v teleport-data:/var/lib/teleport -v ./teleport.yaml:/etc/teleport.yaml:ro -p 443:3080 teleshift
#
# The data folder must be a volume: it holds the cluster.
FROM node:22-bookworm-slim AS package
WORKDIR /src
COPY . .
RUN npm ci --ignore-scripts && npm run -s build && npm pack --silent --pack-destination /

FROM node:22-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates postgresql-client \
  && rm -rf /var/lib/apt/lists/*
RUN --mount=from=package,target=/package npm install --global --no-audit --no-fund /package/teleshift-*.tgz \
  && install -d -o node -g node -m 0700 /var/lib/teleport
USER node
VOLUME /var/lib/teleport
# SIGTERM: no new sessions, and a moment for those that run.
STOPSIGNAL SIGTERM
ENTRYPOINT ["teleport"]
CMD ["start"]
