FROM debian:bookworm
RUN apt-get update && apt-get install curl ca-certificates
RUN curl -fsSL https://example.com/key.asc | gpg --dearmor > /usr/share/keyrings/example.gpg
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
RUN sudo mkdir /data
ENV HOME_DIR=/home/app DATA=$HOME_DIR/data
CMD ["bash"]
CMD ["psql"]
