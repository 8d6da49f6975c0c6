# The image of `cargo xtask image`, for those who have a builder of containers and nothing else: docker build -t drey .
FROM rust:1-alpine AS build
# C for SQLite, ring and jemalloc.
RUN apk add --no-cache build-base
WORKDIR /drey
COPY . .
# On Alpine, programs of Rust are static.
RUN cargo build --locked --release --package drey
RUN mkdir -p /image/etc/ssl/certs /image/usr/local/bin /image/tmp \
 && chmod 1777 /image/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/:/sbin/nologin\nflink:x:9999:9999:drey:/tmp:/sbin/nologin\n' > /image/etc/passwd \
 && printf 'root:x:0:\nflink:x:9999:\n' > /image/etc/group \
 && cp target/release/drey /image/usr/local/bin/

FROM scratch
COPY --from=build /image/ /
USER 9999:9999
# Probes, metrics, webhook.
EXPOSE 8085 9999 9443
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["/usr/local/bin/drey"]
CMD ["operator"]
