# An image for what needs no bridge: `plan`, `copy`, `verify`, `check`, `report --verify`, in scripts and CI. A night belongs on the host, where
# people have accounts and the processes of the application can be seen: docs/install.md says what is missing in here.
#   docker build --tag cutover .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" cutover plan --from app.db --to "$URL"

FROM rust:1.95-slim-bookworm AS build
WORKDIR /cutover
COPY . .
# The image has the compiler that rust-toolchain.toml names; its components for developers are not fetched.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN cargo build --locked --profile dist --bin cutover

FROM debian:bookworm-slim
# Authorities for `sslmode=verify-full`, and ssh-keygen for signatures; as new as Debian has them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home cutover \
    && mkdir /work \
    && chown cutover: /work
COPY --from=build /cutover/target/dist/cutover /usr/local/bin/cutover
COPY --from=build /cutover/LICENSE-APACHE /cutover/LICENSE-MIT /usr/local/share/doc/cutover/
# By number, so that whoever runs it can see that it is not root.
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["cutover"]
CMD ["--help"]
