# Failover as an image: docker build -t failover .
#
# Plain instructions only: Railway, App Platform and Heroku build this file too. No VOLUME, because Railway refuses a
# file that has one; name a volume when you run it (deploy/DEPLOY.md). No RUN --mount, which not every builder knows.
#
# A tag moves. To pin what it means today, look its digest up and write it behind the tag, in both places:
#   docker buildx imagetools inspect python:3.13-slim-trixie    ->    FROM python:3.13-slim-trixie@sha256:...

FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# What the code stands on comes first, so that a change of the code does not install it again. pip stays outside.
COPY pyproject.toml constraints.txt ./
RUN python -m venv --without-pip /opt/failover \
    && python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['charts'], sep='\n')" >requirements.txt \
    && pip --python /opt/failover install -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY src ./src
RUN pip --python /opt/failover install --no-deps .

FROM python:3.13-slim-trixie
# The one folder that is written to. Group 0 may too: some platforms choose a user of their own and put him there.
RUN install -d -o 10001 -g 0 -m 0770 /var/lib/failover
COPY --from=build /opt/failover /opt/failover
ENV PATH=/opt/failover/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    FAILOVER_STATE_DIR=/var/lib/failover
# A number, so that Kubernetes sees that it is not root.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# It asks where FAILOVER_LISTEN or PORT say; a --listen of `docker run` is the proxy's own secret.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 CMD ["failover", "healthcheck"]
ENTRYPOINT ["failover"]
# Flags of `docker run IMAGE --primary=... --backup=...` stand in its place. Heroku wants a CMD.
CMD ["run"]
