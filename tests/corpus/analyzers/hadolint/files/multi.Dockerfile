FROM alpine:3.20 AS base
RUN apk add --no-cache bash tini

FROM base AS tools
COPY --from=tools /usr/bin/env /env
RUN cd /tmp && wget -q https://example.com/tool.tar.gz && tar -xzf tool.tar.gz

FROM base AS tools
COPY a.conf b.conf /etc/app
HEALTHCHECK CMD wget -qO- http://localhost/ || exit 1
HEALTHCHECK NONE
ENTRYPOINT ["tini", "--"]
