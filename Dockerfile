# The gateway as one static file, run by nobody in particular:
#
#   docker build -t evenkeel .
#   docker run -p 4317:4317 -p 4318:4318 -p 13133:13133 evenkeel run --backend http://collector:4317

# Alpine's Rust links statically against musl.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package evenkeel-gateway && strip target/release/evenkeel && mkdir /empty

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/evenkeel /evenkeel
# Where a queue on disk is by default; mount a volume here to keep it.
COPY --from=build --chown=65532:65532 /empty /var/lib/evenkeel
WORKDIR /var/lib/evenkeel
USER 65532:65532
EXPOSE 4317 4318 13133
ENTRYPOINT ["/evenkeel"]
CMD ["run", "--config", "/etc/evenkeel/evenkeel.toml"]
